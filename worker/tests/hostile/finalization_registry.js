// Threat: code that runs from the garbage collector
// Expect: completed "collected"
async function main() {
  const registry = new FinalizationRegistry(() => { for (;;); });
  let witness;
  (() => {
    const doomed = { i: 0 };
    witness = new WeakRef(doomed);
    registry.register(doomed, 'doomed');
  })();
  // The weak reference is never read meanwhile, since reading it would keep its target until the turn is over.
  for (let turn = 0; turn < 100; turn++) {
    new Array(500000).fill(turn);
    await new Promise(resolve => setTimeout(resolve, 0));
  }
  return witness.deref() === undefined ? 'collected' : 'never collected';
}
