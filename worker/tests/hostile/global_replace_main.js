// Threat: replaces main while it runs
// Expect: completed "first"
async function main() {
  globalThis.main = () => 'second';
  await null;
  return 'first';
}
