// Threat: a small value whose JSON is enormous
// Expect: errored result_too_large
function main() {
  let value = ['x'.repeat(1000)];
  for (let i = 0; i < 12; i++) value = [value, value];
  return value;
}
