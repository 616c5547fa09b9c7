test('a listener gets the event and its target', () => {
  const target = new EventTarget();
  let seen;
  target.addEventListener('x', function listener(event) { seen = [this, event]; });
  const event = new Event('x');
  assert(target.dispatchEvent(event));
  assert(seen[0] === target && seen[1] === event && event.target === target);
  equal([event.eventPhase, event.currentTarget, event.isTrusted], [0, null, false]);
});
test('during dispatch: phase, currentTarget, composedPath', () => {
  const target = new EventTarget();
  let seen;
  target.addEventListener('x', (event) => { seen = [event.eventPhase, event.currentTarget === target, event.composedPath().length]; });
  target.dispatchEvent(new Event('x'));
  equal(seen, [2, true, 1]);
});
test('the same listener is added once', () => {
  const target = new EventTarget();
  let count = 0;
  const listener = () => { count += 1; };
  target.addEventListener('x', listener);
  target.addEventListener('x', listener, { once: true });
  target.addEventListener('x', listener, true);
  target.dispatchEvent(new Event('x'));
  equal(count, 2);
});
test('capturing listeners come first', () => {
  const target = new EventTarget();
  const order = [];
  target.addEventListener('x', () => order.push('bubble'));
  target.addEventListener('x', () => order.push('capture'), true);
  target.dispatchEvent(new Event('x'));
  equal(order, ['capture', 'bubble']);
});
test('once, removal, removal meanwhile', () => {
  const target = new EventTarget();
  const order = [];
  const second = () => order.push('second');
  target.addEventListener('x', () => { order.push('once'); target.removeEventListener('x', second); }, { once: true });
  target.addEventListener('x', second);
  target.addEventListener('x', () => order.push('third'));
  target.dispatchEvent(new Event('x'));
  target.dispatchEvent(new Event('x'));
  equal(order, ['once', 'third', 'third']);
});
test('listeners added meanwhile wait', () => {
  const target = new EventTarget();
  let count = 0;
  target.addEventListener('x', () => target.addEventListener('x', () => { count += 1; }), { once: true });
  target.dispatchEvent(new Event('x'));
  equal(count, 0);
  target.dispatchEvent(new Event('x'));
  equal(count, 1);
});
test('stopImmediatePropagation', () => {
  const target = new EventTarget();
  let count = 0;
  target.addEventListener('x', (event) => { count += 1; event.stopImmediatePropagation(); });
  target.addEventListener('x', () => { count += 1; });
  target.dispatchEvent(new Event('x'));
  equal(count, 1);
});
test('preventDefault counts only where it may', () => {
  const target = new EventTarget();
  target.addEventListener('x', (event) => event.preventDefault());
  assert(target.dispatchEvent(new Event('x')));
  assert(!target.dispatchEvent(new Event('x', { cancelable: true })));
  const passive = new EventTarget();
  passive.addEventListener('x', (event) => event.preventDefault(), { passive: true });
  assert(passive.dispatchEvent(new Event('x', { cancelable: true })));
});
test('objects with handleEvent, looked up at dispatch', () => {
  const target = new EventTarget();
  const seen = [];
  const listener = { handleEvent: () => seen.push('old') };
  target.addEventListener('x', listener);
  listener.handleEvent = function handleEvent() { seen.push(this === listener); };
  target.dispatchEvent(new Event('x'));
  equal(seen, [true]);
});
test('null listeners are ignored, other things refused', () => {
  const target = new EventTarget();
  target.addEventListener('x', null);
  target.addEventListener('x', undefined);
  throws(TypeError, () => target.addEventListener('x', 'text'));
  throws(TypeError, () => target.addEventListener('x'));
});
test('a signal removes the listener', () => {
  const target = new EventTarget();
  const controller = new AbortController();
  let count = 0;
  target.addEventListener('x', () => { count += 1; }, { signal: controller.signal });
  target.dispatchEvent(new Event('x'));
  controller.abort();
  target.dispatchEvent(new Event('x'));
  equal(count, 1);
  target.addEventListener('x', () => { count += 1; }, { signal: AbortSignal.abort() });
  target.dispatchEvent(new Event('x'));
  equal(count, 1);
  throws(TypeError, () => target.addEventListener('x', () => {}, { signal: null }));
});
test('an event is dispatched once at a time', () => {
  const target = new EventTarget();
  let error;
  target.addEventListener('x', (event) => {
    try { target.dispatchEvent(event); } catch (caught) { error = caught; }
  });
  target.dispatchEvent(new Event('x'));
  equal(error.name, 'InvalidStateError');
  throws(TypeError, () => target.dispatchEvent({ type: 'x' }));
});
test('Event attributes', () => {
  const event = new Event('x', { bubbles: true, cancelable: true, composed: true });
  equal([event.type, event.bubbles, event.cancelable, event.composed, event.defaultPrevented, event.returnValue],
    ['x', true, true, true, false, true]);
  event.returnValue = false;
  assert(event.defaultPrevented);
  equal(typeof event.timeStamp, 'number');
  equal([Event.NONE, Event.CAPTURING_PHASE, Event.AT_TARGET, event.BUBBLING_PHASE], [0, 1, 2, 3]);
  throws(TypeError, () => new Event());
});
test('isTrusted belongs to each event', () => {
  const descriptor = Object.getOwnPropertyDescriptor(new Event('x'), 'isTrusted');
  equal([typeof descriptor.get, descriptor.configurable, descriptor.enumerable], ['function', false, true]);
});
test('EventTarget can be extended', () => {
  class Station extends EventTarget {}
  const station = new Station();
  let seen = false;
  station.addEventListener('x', () => { seen = true; });
  station.dispatchEvent(new Event('x'));
  assert(seen);
});
