// Threat: a result of one byte more than 1 MiB
// Expect: errored result_too_large
function main() {
  return 'x'.repeat(1024 * 1024 - 1);
}
