// Threat: returns a symbol, for which JSON.stringify answers nothing
// Expect: errored invalid_result
function main() {
  return Symbol('secret');
}
