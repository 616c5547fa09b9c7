test('fires in order of time, then of start', async () => {
  const order = [];
  setTimeout(() => order.push('b20'), 20);
  setTimeout(() => order.push('a1'), 1);
  setTimeout(() => order.push('a2'), 1);
  setTimeout(() => order.push('c'), 40);
  setTimeout(() => order.push('b20 too'), 20);
  await sleep(60);
  equal(order, ['a1', 'a2', 'b20', 'b20 too', 'c']);
});
test('microtasks run between two timers', async () => {
  const order = [];
  setTimeout(() => { order.push(1); Promise.resolve().then(() => order.push('micro')); }, 5);
  setTimeout(() => order.push(2), 5);
  await sleep(20);
  equal(order, [1, 'micro', 2]);
});
test('arguments are handed on', async () => {
  equal(await new Promise((resolve) => { setTimeout((...args) => resolve(args), 0, 1, 'b', null); }), [1, 'b', null]);
});
test('this is undefined in strict code', async () => {
  equal(await new Promise((resolve) => { setTimeout(function f() { 'use strict'; resolve(this); }); }), undefined);
});
test('callbacks are functions', () => {
  for (const bad of ['alert()', {}, null, undefined, 5]) {
    throws(TypeError, () => setTimeout(bad));
    throws(TypeError, () => setInterval(bad, 1));
  }
});
test('ids are positive numbers, all different', () => {
  const first = setTimeout(() => {}, 1e6);
  const second = setInterval(() => {}, 1e6);
  assert(Number.isInteger(first) && first > 0 && second > first);
  clearTimeout(first);
  clearInterval(second);
});
test('clearing works across kinds, and unknown ids are ignored', async () => {
  let fired = 0;
  clearInterval(setTimeout(() => { fired += 1; }, 1));
  clearTimeout(setInterval(() => { fired += 1; }, 1));
  clearTimeout();
  clearTimeout(undefined);
  clearTimeout(null);
  clearTimeout(-5);
  clearTimeout('nope');
  clearTimeout(2 ** 40);
  await sleep(15);
  equal(fired, 0);
});
test('an interval repeats until cleared, also from inside', async () => {
  let count = 0;
  await new Promise((resolve) => {
    const id = setInterval(() => { count += 1; if (count === 3) { clearInterval(id); resolve(); } }, 1);
  });
  await sleep(15);
  equal(count, 3);
});
for (const delay of [-1, NaN, undefined, null, 'x', -Infinity, Infinity, 2 ** 31, 2 ** 32, 0.9]) {
  test(`a delay of ${delay} fires soon`, async () => {
    const start = performance.now();
    await new Promise((resolve) => { setTimeout(resolve, delay); });
    assert(performance.now() - start < 500);
  });
}
test('delays are converted', async () => {
  let asked = 0;
  await new Promise((resolve) => { setTimeout(resolve, { valueOf() { asked += 1; return 1; } }); });
  equal(asked, 1);
});
test('never early', async () => {
  const start = performance.now();
  await sleep(25);
  assert(performance.now() - start >= 24.5, 'fired early');
});
test('nested timers are held to four milliseconds', async () => {
  const start = performance.now();
  await new Promise((resolve) => {
    let depth = 0;
    const next = () => { depth += 1; if (depth === 12) resolve(); else setTimeout(next, 0); };
    setTimeout(next, 0);
  });
  assert(performance.now() - start >= 20, `12 levels took ${performance.now() - start} ms`);
});
test('queueMicrotask runs before any timer, in order', async () => {
  const order = [];
  setTimeout(() => order.push('timer'), 0);
  queueMicrotask(() => order.push('first'));
  Promise.resolve().then(() => order.push('second'));
  queueMicrotask(() => { order.push('third'); queueMicrotask(() => order.push('fourth')); });
  await sleep(10);
  equal(order, ['first', 'second', 'third', 'fourth', 'timer']);
  throws(TypeError, () => queueMicrotask());
  throws(TypeError, () => queueMicrotask('x'));
});
test('setTimeout.length is 1', () => equal([setTimeout.length, setTimeout.name, clearTimeout.length], [1, 'setTimeout', 0]));
