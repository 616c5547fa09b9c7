// Threat: timers that are always due must not keep other work from settling main
// Expect: completed "settled"
async function main() {
  let over = false;
  const spin = () => { if (!over) setTimeout(spin, 0); };
  spin();
  await new Promise(resolve => setTimeout(resolve, 30));
  over = true;
  return 'settled';
}
