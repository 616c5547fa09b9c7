// Threat: returns a function, for which JSON.stringify answers nothing
// Expect: errored invalid_result
function main() {
  return () => 1;
}
