// Threat: a result of exactly 1 MiB must not be refused
// Expect: completed 1048574
function main() {
  const text = 'x'.repeat(1024 * 1024 - 2);
  return text.length;
}
