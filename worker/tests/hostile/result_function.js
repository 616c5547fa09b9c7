// Threat: returns a function, for which JSON.stringify returns undefined
// Expect: errored invalid_result
function main() {
  return () => 1;
}
