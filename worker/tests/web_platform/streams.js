const collect = async (stream) => { const all = []; for await (const chunk of stream) all.push(chunk); return all; };
const of = (...chunks) => new ReadableStream({
  start(controller) { chunks.forEach((chunk) => controller.enqueue(chunk)); controller.close(); },
});

test('read to the end', async () => {
  const reader = of(1, 2).getReader();
  equal([await reader.read(), await reader.read(), await reader.read()],
    [{ value: 1, done: false }, { value: 2, done: false }, { value: undefined, done: true }]);
  await reader.closed;
});
test('pull is called when there is room', async () => {
  let count = 0;
  const stream = new ReadableStream({ pull(controller) { count += 1; if (count > 3) controller.close(); else controller.enqueue(count); } });
  equal(await collect(stream), [1, 2, 3]);
});
test('one reader at a time', () => {
  const stream = of(1);
  const reader = stream.getReader();
  assert(stream.locked);
  throws(TypeError, () => stream.getReader());
  reader.releaseLock();
  assert(!stream.locked);
});
test('cancel reaches the source', async () => {
  let reason;
  const stream = new ReadableStream({ cancel(why) { reason = why; } });
  await stream.cancel('enough');
  equal(reason, 'enough');
});
test('errors reach the reader', async () => {
  const stream = new ReadableStream({ start(controller) { controller.error(new RangeError('x')); } });
  await rejects(RangeError, stream.getReader().read());
});
test('tee', async () => {
  const [left, right] = of(1, 2).tee();
  equal([await collect(left), await collect(right)], [[1, 2], [1, 2]]);
});
test('pipeThrough a TransformStream', async () => {
  const doubled = of(1, 2).pipeThrough(new TransformStream({
    transform(chunk, controller) { controller.enqueue(chunk * 2); },
    flush(controller) { controller.enqueue('end'); },
  }));
  equal(await collect(doubled), [2, 4, 'end']);
});
test('pipeTo a WritableStream', async () => {
  const seen = [];
  await of('a', 'b').pipeTo(new WritableStream({ write(chunk) { seen.push(chunk); }, close() { seen.push('closed'); } }));
  equal(seen, ['a', 'b', 'closed']);
});
test('pipeTo stops with a signal', async () => {
  const controller = new AbortController();
  const piped = new ReadableStream({}).pipeTo(new WritableStream(), { signal: controller.signal });
  controller.abort();
  await rejects('AbortError', piped);
});
test('byte streams fill the given buffer', async () => {
  const stream = new ReadableStream({ type: 'bytes', start(controller) { controller.enqueue(bytes(1, 2, 3)); controller.close(); } });
  const reader = stream.getReader({ mode: 'byob' });
  const { value } = await reader.read(new Uint8Array(2));
  equal([...value], [1, 2]);
});
test('backpressure', async () => {
  const writer = new WritableStream({ write: () => new Promise(() => {}) }, new CountQueuingStrategy({ highWaterMark: 2 })).getWriter();
  equal(writer.desiredSize, 2);
  writer.write(1);
  equal(writer.desiredSize, 1);
});
test('from an iterable', async () => equal(await collect(ReadableStream.from([1, 2])), [1, 2]));
test('iteration can be left early', async () => {
  let cancelled = false;
  const stream = new ReadableStream({ pull(controller) { controller.enqueue(1); }, cancel() { cancelled = true; } });
  for await (const chunk of stream) { equal(chunk, 1); break; }
  assert(cancelled);
});
