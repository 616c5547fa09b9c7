// Threat: recursion without end whose error is not caught
// Expect: errored script_error call stack
function main() {
  return main() + 1;
}
