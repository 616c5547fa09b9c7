// Threat: recursion without end that nobody catches
// Expect: errored script_error call stack
function main() {
  return main() + 1;
}
