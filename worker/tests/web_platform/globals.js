const descriptor = (name) => Object.getOwnPropertyDescriptor(globalThis, name);
const INTERFACES = ['AbortController', 'AbortSignal', 'Blob', 'ByteLengthQueuingStrategy', 'CountQueuingStrategy', 'Crypto', 'CryptoKey',
  'DOMException', 'Event', 'EventTarget', 'File', 'FormData', 'Headers', 'Performance', 'ReadableStream', 'Request', 'Response', 'SubtleCrypto',
  'TextDecoder', 'TextEncoder', 'TransformStream', 'URL', 'URLSearchParams', 'WritableStream'];
const OPERATIONS = ['atob', 'btoa', 'clearInterval', 'clearTimeout', 'fetch', 'queueMicrotask', 'setInterval', 'setTimeout', 'structuredClone'];

for (const name of INTERFACES) {
  test(`interface ${name}`, () => {
    const { value, writable, enumerable, configurable } = descriptor(name);
    equal([typeof value, writable, enumerable, configurable], ['function', true, false, true]);
    equal(value.name, name);
    equal(value.prototype.constructor === value, true);
    equal(Object.getOwnPropertyDescriptor(value, 'prototype').writable, false);
    equal(value.prototype[Symbol.toStringTag], name);
    throws(TypeError, () => value());
  });
}
for (const name of OPERATIONS) {
  test(`operation ${name}`, () => {
    const { value, writable, enumerable, configurable } = descriptor(name);
    equal([typeof value, writable, enumerable, configurable, value.name], ['function', true, true, true, name]);
  });
}
test('console is a namespace', () => {
  equal([descriptor('console').enumerable, String(console), Object.keys(Object.getPrototypeOf(console)).length], [false, '[object console]', 0]);
});
test('crypto and performance are attributes', () => {
  for (const name of ['crypto', 'performance']) {
    const { get, set, enumerable } = descriptor(name);
    equal([typeof get, typeof set, enumerable], ['function', 'function', true], name);
  }
});
test('operations on prototypes are enumerable, accessors too', () => {
  for (const [type, key] of [[Headers, 'get'], [URL, 'href'], [Response, 'json'], [AbortSignal, 'aborted'], [URLSearchParams, 'forEach']]) {
    assert(Object.getOwnPropertyDescriptor(type.prototype, key).enumerable, key);
  }
  assert(Object.getOwnPropertyDescriptor(Response, 'json').enumerable);
});
test('getters check their receiver', () => {
  for (const [type, key] of [[URL, 'href'], [Response, 'status'], [Request, 'url'], [Blob, 'size'], [AbortSignal, 'aborted'], [Event, 'type']]) {
    throws(TypeError, () => type.prototype[key], `${type.name}.${key}`);
  }
});
for (const name of ['require', 'process', 'Buffer', 'module', 'exports', '__dirname', 'WebAssembly', 'SharedArrayBuffer', 'Atomics', 'ops', 'host',
  'bootstrap', 'primordials', 'Deno', 'global', 'window', 'self', 'navigator', 'gc']) {
  test(`no ${name}`, () => equal(name in globalThis, false));
}
test('nothing else is global', () => {
  const known = new Set([...INTERFACES, ...OPERATIONS, 'console', 'crypto', 'performance',
    'ReadableByteStreamController', 'ReadableStreamBYOBReader', 'ReadableStreamBYOBRequest', 'ReadableStreamDefaultController',
    'ReadableStreamDefaultReader', 'TransformStreamDefaultController', 'WritableStreamDefaultController', 'WritableStreamDefaultWriter',
    'Plane', 'Functions', 'ENV', 'Variables', 'workspaceSlug',
    'Object', 'Function', 'Array', 'Number', 'parseFloat', 'parseInt', 'Infinity', 'NaN', 'undefined', 'Boolean', 'String', 'Symbol', 'Date',
    'Promise', 'RegExp', 'Error', 'AggregateError', 'SuppressedError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError',
    'URIError', 'globalThis', 'JSON', 'Math', 'Intl', 'ArrayBuffer', 'Uint8Array', 'Int8Array', 'Uint16Array', 'Int16Array', 'Uint32Array',
    'Int32Array', 'Float16Array', 'Float32Array', 'Float64Array', 'Uint8ClampedArray', 'BigUint64Array', 'BigInt64Array', 'DataView', 'Map',
    'BigInt', 'Set', 'WeakMap', 'WeakSet', 'Proxy', 'Reflect', 'FinalizationRegistry', 'WeakRef', 'Iterator', 'DisposableStack',
    'AsyncDisposableStack', 'Temporal', 'decodeURI', 'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'escape', 'unescape', 'eval',
    'isFinite', 'isNaN']);
  const extra = Reflect.ownKeys(globalThis).filter((name) => !known.has(name));
  equal(extra, []);
});
test('performance', () => {
  const first = performance.now();
  const second = performance.now();
  assert(typeof first === 'number' && second >= first && first >= 0);
  assert(Math.abs(performance.timeOrigin + performance.now() - Date.now()) < 1000);
  equal(performance.timeOrigin, performance.timeOrigin);
});
test('ECMAScript is whole', () => {
  equal([Object.groupBy([1, 2], (n) => (n % 2 ? 'odd' : 'even')).odd, [1, 2].at(-1), 'a'.replaceAll('a', 'b'), structuredClone([1])], [[1], 2, 'b', [1]]);
  equal(new Intl.NumberFormat('de-DE', { style: 'currency', currency: 'EUR' }).format(1234.5), '1.234,50\u00a0€');
  equal(new Intl.DateTimeFormat('ja-JP', { timeZone: 'Asia/Tokyo', dateStyle: 'full' }).format(new Date(0)), '1970年1月1日木曜日');
});
