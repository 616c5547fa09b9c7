// Threat: one ArrayBuffer over the limit; the refusal can be caught, and the run goes on
// Expect: completed "RangeError"
function main() {
  try { new ArrayBuffer(512 * 1024 * 1024); return 'allocated'; } catch (error) { return error.name; }
}
