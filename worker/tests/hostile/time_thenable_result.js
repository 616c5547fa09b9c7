// Threat: a thenable result whose then spins
// Expect: errored timeout
function main() {
  return { then() { for (;;); } };
}
