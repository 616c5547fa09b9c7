// Threat: nesting that overflows whoever parses the result next
// Expect: errored invalid_result
function main() {
  let value = 1;
  for (let i = 0; i < 5000; i++) value = [value];
  return value;
}
