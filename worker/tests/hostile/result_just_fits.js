// Threat: a result of exactly 1 MiB must not be refused
// Expect: length 1048576
function main() {
  return 'x'.repeat(1024 * 1024 - 2);
}
