// Threat: Array.from with a huge length
// Expect: errored memory_limit
function main() {
  return Array.from({ length: 2 ** 28 }, (_, i) => i).length;
}
