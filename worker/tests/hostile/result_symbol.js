// Threat: returns a symbol, for which JSON.stringify returns undefined
// Expect: errored invalid_result
function main() {
  return Symbol('secret');
}
