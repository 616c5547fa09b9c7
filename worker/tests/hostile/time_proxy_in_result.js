// Threat: a Proxy result whose ownKeys trap spins
// Expect: errored timeout
function main() {
  return new Proxy({}, { ownKeys() { for (;;); } });
}
