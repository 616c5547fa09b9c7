test('abort sets the reason and fires once', () => {
  const controller = new AbortController();
  const { signal } = controller;
  assert(controller.signal === signal);
  const seen = [];
  signal.onabort = (event) => seen.push(['attribute', event.type, event.isTrusted]);
  signal.addEventListener('abort', () => seen.push('listener'));
  equal([signal.aborted, signal.reason], [false, undefined]);
  controller.abort();
  controller.abort('again');
  equal(seen, [['attribute', 'abort', true], 'listener']);
  equal([signal.aborted, signal.reason.name], [true, 'AbortError']);
});
test('a reason of any kind', () => {
  const controller = new AbortController();
  controller.abort(5);
  equal(controller.signal.reason, 5);
  equal(AbortSignal.abort(null).reason, null);
  equal(AbortSignal.abort().reason.name, 'AbortError');
});
test('throwIfAborted throws the reason itself', () => {
  const reason = {};
  new AbortController().signal.throwIfAborted();
  try {
    AbortSignal.abort(reason).throwIfAborted();
    fail('nothing thrown');
  } catch (error) {
    assert(error === reason);
  }
});
test('signals are not constructed', () => throws(TypeError, () => new AbortSignal()));
test('timeout aborts with TimeoutError', async () => {
  const signal = AbortSignal.timeout(5);
  assert(!signal.aborted);
  await new Promise((resolve) => { signal.onabort = resolve; });
  equal(signal.reason.name, 'TimeoutError');
  equal(signal.reason.code, 23);
});
test('timeout refuses what is no delay', () => {
  throws(TypeError, () => AbortSignal.timeout());
  throws(TypeError, () => AbortSignal.timeout(-1));
  throws(TypeError, () => AbortSignal.timeout(NaN));
  throws(TypeError, () => AbortSignal.timeout(Infinity));
});
test('any: already aborted', () => {
  const signal = AbortSignal.any([new AbortController().signal, AbortSignal.abort('a'), AbortSignal.abort('b')]);
  equal([signal.aborted, signal.reason], [true, 'a']);
});
test('any: follows the first, through other followers', () => {
  const first = new AbortController();
  const second = new AbortController();
  const inner = AbortSignal.any([first.signal]);
  const outer = AbortSignal.any([inner, second.signal]);
  const order = [];
  first.signal.addEventListener('abort', () => order.push(['first', inner.aborted, outer.aborted]));
  outer.addEventListener('abort', () => order.push('outer'));
  first.abort('why');
  second.abort('late');
  equal(order, [['first', true, true], 'outer']);
  equal(outer.reason, 'why');
});
test('any: none, and only signals', () => {
  assert(!AbortSignal.any([]).aborted);
  throws(TypeError, () => AbortSignal.any([{}]));
  throws(TypeError, () => AbortSignal.any());
});
test('onabort holds functions only and can be replaced', () => {
  const controller = new AbortController();
  const seen = [];
  controller.signal.onabort = 'text';
  equal(controller.signal.onabort, null);
  controller.signal.onabort = () => seen.push(1);
  controller.signal.onabort = () => seen.push(2);
  controller.abort();
  equal(seen, [2]);
});
