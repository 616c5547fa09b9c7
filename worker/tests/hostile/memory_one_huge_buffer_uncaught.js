// Threat: one ArrayBuffer over the limit, whose refusal is not caught
// Expect: errored memory_limit
function main() {
  return new ArrayBuffer(512 * 1024 * 1024).byteLength;
}
