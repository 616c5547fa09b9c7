// Threat: spins after a suspension, when the run is driven by the event loop
// Expect: errored timeout
async function main() {
  await null;
  for (;;);
}
