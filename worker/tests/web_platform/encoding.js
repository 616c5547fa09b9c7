const decode = (input, ...options) => new TextDecoder(...options).decode(input);

test('encodes UTF-8', () => equal([...utf8('aü€😀')], [97, 0xc3, 0xbc, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80]));
test('lone surrogates become U+FFFD', () => {
  equal([...utf8('\ud800')], [0xef, 0xbf, 0xbd]);
  equal([...utf8('\udc00a')], [0xef, 0xbf, 0xbd, 97]);
});
test('encode without an argument is empty', () => equal(new TextEncoder().encode().length, 0));
test('encode stringifies', () => equal([...new TextEncoder().encode(null)], [110, 117, 108, 108]));
test('the result is a Uint8Array of its own', () => {
  const first = utf8('a');
  assert(first instanceof Uint8Array && first.buffer.byteLength === 1);
  assert(utf8('a') !== first);
});
test('encoding is utf-8', () => equal([new TextEncoder().encoding, new TextDecoder().encoding], ['utf-8', 'utf-8']));
test('encodeInto fills what fits whole', () => {
  const target = new Uint8Array(4);
  equal(new TextEncoder().encodeInto('a€€', target), { read: 2, written: 4 });
  equal([...target], [97, 0xe2, 0x82, 0xac]);
  equal(new TextEncoder().encodeInto('😀', new Uint8Array(3)), { read: 0, written: 0 });
  equal(new TextEncoder().encodeInto('\ud800', new Uint8Array(3)), { read: 1, written: 3 });
  throws(TypeError, () => new TextEncoder().encodeInto('a', new Uint16Array(1)));
});

test('decodes UTF-8', () => equal(decode(bytes(0xe2, 0x82, 0xac)), '€'));
test('drops one byte order mark', () => {
  equal(decode(bytes(0xef, 0xbb, 0xbf, 97)), 'a');
  equal(decode(bytes(0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf)), '\ufeff');
  equal(decode(bytes(0xef, 0xbb, 0xbf, 97), 'utf-8', { ignoreBOM: true }), '\ufeffa');
});
test('one U+FFFD per maximal subpart', () => {
  equal(decode(bytes(0xf0, 0x9f, 0x98)), '\ufffd');
  equal(decode(bytes(0xe2, 0x82, 97)), '\ufffda');
  equal(decode(bytes(0xff, 0xfe)), '\ufffd\ufffd');
  equal(decode(bytes(0xc0, 0x80)), '\ufffd\ufffd');
  equal(decode(bytes(0xed, 0xa0, 0x80)), '\ufffd\ufffd\ufffd');
  equal(decode(bytes(0xf4, 0x90, 0x80, 0x80)), '\ufffd\ufffd\ufffd\ufffd');
});
test('fatal throws', () => {
  throws(TypeError, () => decode(bytes(0xff), 'utf-8', { fatal: true }));
  throws(TypeError, () => decode(bytes(0xe2, 0x82), 'utf-8', { fatal: true }));
  equal(decode(bytes(97), 'utf-8', { fatal: true }), 'a');
});
test('streams over any split', () => {
  const whole = utf8('a€😀ü');
  for (let size = 1; size < whole.length; size += 1) {
    const decoder = new TextDecoder();
    let text = '';
    for (let i = 0; i < whole.length; i += size) text += decoder.decode(whole.subarray(i, i + size), { stream: true });
    equal(text + decoder.decode(), 'a€😀ü', `pieces of ${size}`);
  }
});
test('a stream that ends inside a character', () => {
  const decoder = new TextDecoder();
  equal(decoder.decode(bytes(0xe2, 0x82), { stream: true }), '');
  equal(decoder.decode(), '\ufffd');
  equal(decoder.decode(bytes(0xac)), '\ufffd');
});
test('a byte order mark split over pieces', () => {
  const decoder = new TextDecoder();
  equal(decoder.decode(bytes(0xef), { stream: true }) + decoder.decode(bytes(0xbb), { stream: true })
    + decoder.decode(bytes(0xbf, 97), { stream: true }) + decoder.decode(), 'a');
});
test('takes buffers, views of every kind and parts of them', () => {
  const { buffer } = utf8('abcd');
  equal(decode(buffer), 'abcd');
  equal(decode(new DataView(buffer, 1, 2)), 'bc');
  equal(decode(new Uint16Array(buffer)), 'abcd');
  equal(decode(new Uint8Array(buffer, 2)), 'cd');
  throws(TypeError, () => decode('abcd'));
});
test('labels', () => {
  for (const [label, name] of [
    ['utf8', 'utf-8'], [' UTF-8\n', 'utf-8'], ['unicode-1-1-utf-8', 'utf-8'], ['latin1', 'windows-1252'],
    ['ascii', 'windows-1252'], ['ISO-8859-1', 'windows-1252'], ['utf-16', 'utf-16le'], ['ucs-2', 'utf-16le'],
  ]) equal(new TextDecoder(label).encoding, name, label);
  throws(RangeError, () => new TextDecoder('nope'));
  throws(RangeError, () => new TextDecoder(''));
});
test('windows-1252', () => equal(decode(bytes(0x80, 0xe9, 0x9f), 'latin1'), '€éŸ'));
test('utf-16le', () => {
  equal(decode(bytes(0xff, 0xfe, 97, 0, 0x3d, 0xd8, 0, 0xde), 'utf-16le'), 'a😀');
  equal(decode(bytes(0x3d, 0xd8), 'utf-16le'), '\ufffd');
  equal(decode(bytes(97), 'utf-16le'), '\ufffd');
  throws(TypeError, () => decode(bytes(0, 0xd8), 'utf-16le', { fatal: true }));
  const decoder = new TextDecoder('utf-16le');
  equal(decoder.decode(bytes(0x3d, 0xd8, 0), { stream: true }) + decoder.decode(bytes(0xde)), '😀');
});
test('attributes', () => {
  const decoder = new TextDecoder('utf-8', { fatal: 1, ignoreBOM: 'x' });
  equal([decoder.fatal, decoder.ignoreBOM], [true, true]);
});
