// Damage that a script does to built-ins must not affect the runtime. Each case damages one of them and
// checks results that only the runtime has set.

const { defineProperty, getOwnPropertyDescriptor } = Object;

function replaced(object, key, descriptor, run) {
  const before = getOwnPropertyDescriptor(object, key);
  const during = { __proto__: null, configurable: true, ...descriptor };
  defineProperty(object, key, during);
  try {
    return run();
  } finally {
    if (before === undefined) delete object[key];
    else defineProperty(object, key, { __proto__: null, ...before });
  }
}
const damaged = (object, key, value, run) => (
  replaced(object, key, { __proto__: null, value, writable: true, enumerable: false }, run)
);
const withAccessor = (object, key, get, run) => (
  replaced(object, key, { __proto__: null, get, set() { throw new Error('setter'); }, enumerable: false }, run)
);
const boom = () => { throw new Error('reached'); };

// Created before any damage: as the standard says, creating them calls iterators and methods, which the cases replace.
const LOGGED = { a: [1, new Map([[1, new Set([2])]])], e: new Error('x') };
const ROWS = [{ a: 1 }];
const BLOB = new Blob(['ab', 'c']);

/** Uses much of the runtime; every expectation is checked after the damage is undone. */
function exercise() {
  const results = Object.setPrototypeOf([], null);
  const keep = (value) => { results[results.length] = value; };
  console.log('%s and %d', 'text', 1, LOGGED);
  console.table(ROWS);
  const url = new URL('http://a/b?c=1#d');
  url.searchParams.append('e', 'ü');
  keep(url.href);
  const headers = new Headers({ b: '1', a: '2' });
  headers.append('A', '3');
  keep(headers.get('a'));
  keep(new Request('http://a/', { method: 'post', body: 'x', headers }).headers.get('content-type'));
  keep(new Response('x', { status: 201 }).status);
  keep(new URLSearchParams('a=1&b=%20').get('b'));
  keep(btoa('abc') + atob('YWJj'));
  keep(new TextDecoder().decode(new TextEncoder().encode('ü')));
  keep(structuredClone({ a: new Date(5) }).a.getTime());
  keep(BLOB.slice(1).size);
  const controller = new AbortController();
  let fired = 0;
  controller.signal.addEventListener('abort', () => { fired += 1; });
  controller.abort();
  keep(fired);
  const form = new FormData();
  form.append('k', 'v');
  keep(form.get('k'));
  keep(typeof setTimeout(() => {}, 0));
  keep(crypto.randomUUID().length);
  return results;
}
const EXPECTED = ['http://a/b?c=1&e=%C3%BC#d', '2, 3', 'text/plain;charset=UTF-8', 201, ' ', 'YWJjabc', 'ü', 5, 2, 1, 'v', 'number', 36];

function sameList(actual) {
  for (let i = 0; i < EXPECTED.length; i += 1) {
    if (actual[i] !== EXPECTED[i]) throw new Error(`item ${i}: ${String(actual[i])} instead of ${String(EXPECTED[i])}`);
  }
}
const survives = (name, object, key, value = boom) => test(`${name} replaced`, () => {
  sameList(damaged(object, key, value, exercise));
});

test('undamaged', () => sameList(exercise()));
survives('Array.prototype[Symbol.iterator]', Array.prototype, Symbol.iterator);
survives('Array.prototype.push', Array.prototype, 'push');
survives('Array.prototype.join', Array.prototype, 'join');
survives('Array.prototype.map', Array.prototype, 'map');
survives('Array.prototype.slice', Array.prototype, 'slice');
survives('Array.prototype.sort', Array.prototype, 'sort');
survives('Function.prototype.call', Function.prototype, 'call');
survives('Function.prototype.apply', Function.prototype, 'apply');
survives('Function.prototype.bind', Function.prototype, 'bind');
survives('Function.prototype.toString', Function.prototype, 'toString');
survives('RegExp.prototype.exec', RegExp.prototype, 'exec');
survives('RegExp.prototype.test', RegExp.prototype, 'test');
survives('RegExp.prototype[Symbol.replace]', RegExp.prototype, Symbol.replace);
survives('String.prototype.split', String.prototype, 'split');
survives('String.prototype.slice', String.prototype, 'slice');
survives('String.prototype.replace', String.prototype, 'replace');
survives('String.prototype.indexOf', String.prototype, 'indexOf');
survives('String.prototype[Symbol.iterator]', String.prototype, Symbol.iterator);
survives('String.prototype.toLowerCase', String.prototype, 'toLowerCase');
survives('Map.prototype.get', Map.prototype, 'get');
survives('Map.prototype.set', Map.prototype, 'set');
survives('Map.prototype[Symbol.iterator]', Map.prototype, Symbol.iterator);
survives('Set.prototype.add', Set.prototype, 'add');
survives('WeakMap.prototype.get', WeakMap.prototype, 'get');
survives('Object.keys', Object, 'keys');
survives('Object.defineProperty', Object, 'defineProperty', undefined);
survives('Object.entries', Object, 'entries');
survives('Reflect.apply', Reflect, 'apply');
survives('Reflect.ownKeys', Reflect, 'ownKeys');
survives('JSON.stringify', JSON, 'stringify');
survives('JSON.parse', JSON, 'parse');
survives('Math.min', Math, 'min');
survives('Number.isFinite', Number, 'isFinite');
survives('Array.isArray', Array, 'isArray');
survives('Symbol.for', Symbol, 'for');
survives('Promise.prototype.then', Promise.prototype, 'then');
survives('Promise.resolve', Promise, 'resolve');
survives('Error.captureStackTrace', Error, 'captureStackTrace');
survives('Error.prepareStackTrace', Error, 'prepareStackTrace');
survives('global Uint8Array', globalThis, 'Uint8Array');
survives('global Map', globalThis, 'Map');
survives('global Promise', globalThis, 'Promise');
survives('global TypeError', globalThis, 'TypeError');
survives('Uint8Array species', Uint8Array, Symbol.species, { get: boom });
survives('EventTarget.prototype.dispatchEvent', EventTarget.prototype, 'dispatchEvent');
survives('AbortSignal.any', AbortSignal, 'any');
survives('Object.prototype.get', Object.prototype, 'get', boom);
survives('Object.prototype.value', Object.prototype, 'value', 'polluted');
survives('Object.prototype.writable', Object.prototype, 'writable', false);
survives('Object.prototype.enumerable', Object.prototype, 'enumerable', true);
survives('Object.prototype.then', Object.prototype, 'then', boom);
survives('Object.prototype.constructor', Object.prototype, 'constructor', boom);
survives('Object.prototype.toJSON', Object.prototype, 'toJSON', boom);
survives('Object.prototype.capture', Object.prototype, 'capture', true);
survives('Object.prototype.maxByteLength', Object.prototype, 'maxByteLength', 9);

for (const [name, object] of [['Array.prototype', Array.prototype], ['Object.prototype', Object.prototype]]) {
  test(`accessors on the indices of ${name}`, () => {
    sameList(withAccessor(object, 0, boom, () => withAccessor(object, 1, boom, exercise)));
  });
}
test('promises of ours do not ask for a species', async () => {
  equal(await damaged(Promise, Symbol.species, boom, () => new Response('x').text()), 'x');
});
test('inspection runs none of the script\'s code', () => {
  const trap = new Proxy({}, new Proxy({}, { get: boom }));
  const value = {
    get getter() { return boom(); },
    trap,
    inherits: Object.create(new Proxy({}, { get: boom, getPrototypeOf: boom, getOwnPropertyDescriptor: boom })),
    error: Object.defineProperty(new Error('x'), 'stack', { get: boom }),
    named: Object.defineProperty(() => {}, 'name', { get: boom }),
    date: Object.assign(new Date(0), { toISOString: boom, toString: boom }),
    expression: Object.defineProperty(/x/, 'flags', { get: boom }),
    map: Object.assign(new Map([[1, 2]]), { forEach: boom, entries: boom, [Symbol.iterator]: boom }),
    promise: Object.assign(Promise.resolve(1), { then: boom }),
    then: boom,
    toString: boom,
    toJSON: boom,
    constructor: new Proxy(class {}, { get: boom }),
    [Symbol.toPrimitive]: boom,
  };
  Object.defineProperty(value, Symbol.toStringTag, { get: boom });
  console.log(value);
  console.log('%o %O', value, value);
  console.table([value]);
});
test('own stack frames do not lead to the runtime', () => {
  const { stack } = new Error('x');
  assert(!/runtime/.test(stack), stack);
  try { new URL('nope'); } catch (error) { assert(!/runtime/.test(error.stack), error.stack); }
});
test('functions of the runtime have no caller and no arguments', () => {
  throws(TypeError, () => setTimeout.caller);
  throws(TypeError, () => setTimeout.arguments);
});
test('code from strings is off', () => {
  throws(EvalError, () => (0, eval)('1'));
  throws(EvalError, () => new Function('return 1'));
  throws(EvalError, () => Object.getPrototypeOf(async () => {}).constructor('return 1'));
  throws(EvalError, () => Object.getPrototypeOf(function* g() {}).constructor('yield 1'));
  throws(EvalError, () => setTimeout.constructor('return 1'));
});
test('nothing can be imported', async () => {
  for (const specifier of ['x', './x.js', 'node:fs', 'fs', 'data:text/javascript,export default 1', 'http://a.example/x.js']) {
    await rejects(undefined, (async () => import(specifier))(), specifier);
  }
});
