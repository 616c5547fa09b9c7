// Threat: code that runs from the garbage collector
// Expect: completed "done"
async function main() {
  const registry = new FinalizationRegistry(() => { for (;;); });
  for (let i = 0; i < 1000; i++) registry.register({}, i);
  return 'done';
}
