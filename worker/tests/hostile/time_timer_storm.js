// Threat: timers that schedule timers without end
// Expect: errored timeout
async function main() {
  const again = () => { setTimeout(again, 0); setTimeout(() => {}, 0); };
  again();
  await new Promise(() => {});
}
