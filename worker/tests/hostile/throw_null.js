// Threat: throws a value that has no message
// Expect: errored script_error null
function main() {
  throw null;
}
