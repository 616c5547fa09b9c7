test('parts of every kind', async () => {
  const buffer = utf8('buf').buffer;
  const blob = new Blob(['a', buffer, new Uint8Array(buffer, 1), new DataView(buffer, 2), new Blob(['z']), 5, null, 'ü\ud800']);
  equal(await blob.text(), 'abufuffz5nullü\ufffd');
  equal(blob.size, 18);
});
test('parts come from any iterable but text', async () => {
  equal(await new Blob(new Set(['a', 'b'])).text(), 'ab');
  for (const bad of ['text', 5, null, {}, Symbol('x')]) throws(TypeError, () => new Blob(bad));
  equal(new Blob().size, 0);
  equal(new Blob(undefined).size, 0);
});
test('type is lower case printable ASCII, or none', () => {
  equal([new Blob([], { type: 'Text/PLAIN' }).type, new Blob([], { type: 'a\u007f' }).type, new Blob([], { type: 'ü' }).type, new Blob([]).type],
    ['text/plain', '', '', '']);
  equal(new Blob([], { type: null }).type, 'null');
});
test('endings', async () => {
  equal(await new Blob(['a\r\nb\rc\nd'], { endings: 'native' }).text(), 'a\nb\nc\nd');
  equal(await new Blob(['a\r\nb']).text(), 'a\r\nb');
  throws(TypeError, () => new Blob([], { endings: 'x' }));
});
test('slice', async () => {
  const blob = new Blob(['abcdef'], { type: 'a/b' });
  const slice = async (...args) => blob.slice(...args).text();
  equal([await slice(), await slice(2), await slice(1, 3), await slice(-2), await slice(-4, -2), await slice(4, 2), await slice(2, 99), await slice(NaN, 1.9)],
    ['abcdef', 'cdef', 'bc', 'ef', 'cd', '', 'cdef', 'a']);
  equal([blob.slice(0, 1).type, blob.slice(0, 1, 'C/d').type], ['', 'c/d']);
});
test('readers', async () => {
  const blob = new Blob(['ab']);
  equal((await blob.arrayBuffer()).byteLength, 2);
  equal([...await blob.bytes()], [97, 98]);
  const chunks = [];
  for await (const chunk of blob.stream()) chunks.push(...chunk);
  equal(chunks, [97, 98]);
  (await blob.bytes())[0] = 0;
  equal(await blob.text(), 'ab');
});
test('the bytes are those of the moment', async () => {
  const data = utf8('ab');
  const blob = new Blob([data]);
  data[0] = 0;
  equal(await blob.text(), 'ab');
});
test('File', async () => {
  const file = new File(['x'], 'a/b.txt', { type: 'text/plain', lastModified: 5.7 });
  equal([file.name, file.type, file.lastModified, file.size], ['a/b.txt', 'text/plain', 5, 1]);
  assert(file instanceof Blob && !(file.slice() instanceof File));
  assert(Math.abs(new File([], 'x').lastModified - Date.now()) < 5000);
  throws(TypeError, () => new File([]));
  throws(TypeError, () => new File('x', 'y'));
});
