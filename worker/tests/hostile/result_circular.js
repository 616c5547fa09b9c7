// Threat: a result that refers to itself
// Expect: errored invalid_result
function main() {
  const value = {};
  value.self = value;
  return value;
}
