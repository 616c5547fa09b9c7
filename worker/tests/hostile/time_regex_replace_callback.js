// Threat: spins inside a callback of String.prototype.replace
// Expect: errored timeout
function main() {
  return 'x'.replace(/x/, () => { for (;;); });
}
