// Threat: looks for internals among the globals and symbols
// Expect: completed []
function main() {
  const names = [...Object.getOwnPropertyNames(globalThis), ...Object.getOwnPropertySymbols(globalThis).map(String)];
  return names.filter(name => /ops|host|bootstrap|internal|primordial|__|deno|node/i.test(name) && name !== 'Symbol(Symbol.toStringTag)');
}
