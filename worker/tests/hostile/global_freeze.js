// Threat: freezes the global object
// Expect: completed "frozen"
async function main() {
  try { Object.freeze(globalThis); } catch { /* typed arrays may refuse */ }
  await null;
  return 'frozen';
}
