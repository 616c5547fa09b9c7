// Threat: overwrites every global it can, then returns
// Expect: completed "alive"
// Log: info before
async function main() {
  console.log('before');
  for (const name of Object.getOwnPropertyNames(globalThis)) { try { globalThis[name] = undefined; } catch { /* fixed */ } }
  return 'alive';
}
