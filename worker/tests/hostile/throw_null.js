// Threat: throws what has no message
// Expect: errored script_error null
function main() {
  throw null;
}
