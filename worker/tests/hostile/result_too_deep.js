// Threat: nesting that overflows the next parser of the result
// Expect: errored invalid_result
function main() {
  let value = 1;
  for (let i = 0; i < 5000; i++) value = [value];
  return value;
}
