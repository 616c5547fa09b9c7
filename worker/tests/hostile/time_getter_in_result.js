// Threat: the result spins when it is read
// Expect: errored timeout
function main() {
  return { get trap() { for (;;); } };
}
