// Threat: replaces the collections in which the runtime might keep its state
// Expect: completed 7
async function main() {
  for (const type of [Map, Set, WeakMap, WeakSet]) for (const name of ['get', 'set', 'has', 'add', 'delete']) {
    if (type.prototype[name]) type.prototype[name] = () => { throw new Error('stolen'); };
  }
  return await new Promise(resolve => setTimeout(() => resolve(7), 2));
}
