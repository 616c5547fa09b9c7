// Threat: arithmetic on huge integers inside one operation
// Expect: errored timeout
function main() {
  let value = 3n;
  for (;;) { value = value ** 2n % (2n ** 60000n - 1n) + value; }
}
