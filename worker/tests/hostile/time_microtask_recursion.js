// Threat: a chain of microtasks that never lets the event loop turn
// Expect: errored timeout
async function main() {
  // Nothing is returned: a promise that waits for the next one would fill the memory first.
  const again = () => { Promise.resolve().then(again); };
  again();
  await new Promise(() => {});
}
