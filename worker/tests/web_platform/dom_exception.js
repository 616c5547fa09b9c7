test('name, message, code', () => {
  const error = new DOMException('what', 'AbortError');
  equal([error.name, error.message, error.code], ['AbortError', 'what', 20]);
  equal([new DOMException().name, new DOMException().message, new DOMException().code], ['Error', '', 0]);
  equal([new DOMException('x', 'Own').code, new DOMException('x', 'DataCloneError').code], [0, 25]);
});
test('is an Error with a stack', () => {
  const error = new DOMException('what', 'AbortError');
  assert(error instanceof Error && error instanceof DOMException);
  equal(Object.getPrototypeOf(DOMException.prototype) === Error.prototype, true);
  assert(error.stack.startsWith('AbortError: what'), error.stack);
  equal(String(error), 'AbortError: what');
  equal(Object.prototype.toString.call(error), '[object DOMException]');
});
test('has no own name or message', () => {
  const own = Object.getOwnPropertyNames(new DOMException('x', 'y'));
  assert(!own.includes('name') && !own.includes('message'), own.join());
});
test('constants on both sides', () => {
  equal([DOMException.ABORT_ERR, DOMException.prototype.DATA_CLONE_ERR, DOMException.INDEX_SIZE_ERR], [20, 25, 1]);
  throws(TypeError, () => { 'use strict'; DOMException.ABORT_ERR = 1; });
});
test('options carry a cause', () => equal(new DOMException('x', { name: 'N', cause: 5 }).cause, 5));
test('getters check their receiver', () => throws(TypeError, () => DOMException.prototype.name));
