// Threat: queueMicrotask that re-queues itself
// Expect: errored timeout
async function main() {
  const again = () => queueMicrotask(again);
  again();
  await new Promise(() => {});
}
