// Threat: replaces the Promise constructor and its species
// Expect: completed "real"
async function main() {
  Object.defineProperty(Promise, Symbol.species, { get() { throw new Error('species'); } });
  globalThis.Promise = function () { throw new Error('constructor'); };
  await null;
  return 'real';
}
