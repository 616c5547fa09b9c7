// Threat: spins inside a JSON.parse reviver
// Expect: errored timeout
function main() {
  return JSON.parse('[1]', () => { for (;;); });
}
