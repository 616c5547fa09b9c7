// Threat: spins inside a getter read by structuredClone
// Expect: errored timeout
function main() {
  return structuredClone({ get trap() { for (;;); } });
}
