test('defaults', () => {
  const response = new Response();
  equal([response.status, response.statusText, response.ok, response.type, response.url, response.redirected, response.body, response.bodyUsed],
    [200, '', true, 'default', '', false, null, false]);
});
test('status and statusText are checked', () => {
  for (const status of [0, 99, 199, 600, 1000]) throws(RangeError, () => new Response('', { status }), status);
  for (const statusText of ['\n', '\u0100', '\0']) throws(TypeError, () => new Response('', { statusText }));
  equal([new Response('', { status: 404, statusText: 'Not Föund' }).statusText, new Response('', { status: 299 }).ok, new Response('', { status: 300 }).ok],
    ['Not Föund', true, false]);
});
test('some statuses have no body', () => {
  for (const status of [204, 205, 304]) {
    throws(TypeError, () => new Response('', { status }));
    equal(new Response(null, { status }).status, status);
  }
  throws(RangeError, () => new Response(null, { status: 101 }));
});
test('error', () => {
  const response = Response.error();
  equal([response.type, response.status, response.ok], ['error', 0, false]);
  throws(TypeError, () => response.headers.append('a', 'b'));
});
test('redirect', () => {
  const response = Response.redirect('http://a/b c');
  equal([response.status, response.headers.get('location'), response.body], [302, 'http://a/b%20c', null]);
  equal(Response.redirect('http://a/', 308).status, 308);
  throws(RangeError, () => Response.redirect('http://a/', 200));
  throws(TypeError, () => Response.redirect('nope'));
  throws(TypeError, () => response.headers.set('a', 'b'));
});
test('json', async () => {
  const response = Response.json({ a: [1] }, { status: 201, headers: { x: 'y' } });
  equal([response.status, response.headers.get('content-type'), response.headers.get('x')], [201, 'application/json', 'y']);
  equal(await response.json(), { a: [1] });
  equal(Response.json(1, { headers: { 'content-type': 'a/b' } }).headers.get('content-type'), 'a/b');
  throws(TypeError, () => Response.json(undefined));
  throws(TypeError, () => Response.json(Symbol('x')));
  throws(TypeError, () => Response.json({}, { status: 204 }));
  throws(TypeError, () => { const a = {}; a.a = a; Response.json(a); });
});
test('every reader', async () => {
  const make = () => new Response('{"ü":1}');
  equal(await make().text(), '{"ü":1}');
  equal(await make().json(), { ü: 1 });
  equal((await make().arrayBuffer()).byteLength, 8);
  const view = await make().bytes();
  assert(view instanceof Uint8Array);
  const blob = await make().blob();
  equal([blob.size, blob.type], [8, 'text/plain;charset=utf-8']);
});
test('a body is read once', async () => {
  const response = new Response('x');
  const first = response.text();
  assert(response.bodyUsed);
  await rejects(TypeError, response.text());
  await rejects(TypeError, response.arrayBuffer());
  equal(await first, 'x');
  throws(TypeError, () => response.clone());
});
test('no body reads as empty, and again', async () => {
  const response = new Response();
  equal([await response.text(), response.bodyUsed, await response.text(), (await response.arrayBuffer()).byteLength], ['', false, '', 0]);
  await rejects(SyntaxError, response.json());
});
test('text drops a byte order mark; json too', async () => {
  equal(await new Response(bytes(0xef, 0xbb, 0xbf, 97)).text(), 'a');
  equal(await new Response(bytes(0xef, 0xbb, 0xbf, 49)).json(), 1);
});
test('broken json rejects with SyntaxError', async () => {
  await rejects(SyntaxError, new Response('{').json());
  await rejects(SyntaxError, new Response('').json());
});
test('readers reject rather than throw', async () => {
  await rejects(TypeError, Response.prototype.text.call({}));
});
test('clone', async () => {
  const response = new Response('abc', { status: 201, headers: { a: 'b' } });
  const clone = response.clone();
  equal([clone.status, clone.headers.get('a')], [201, 'b']);
  clone.headers.set('a', 'c');
  equal(response.headers.get('a'), 'b');
  equal([await response.text(), await clone.text()], ['abc', 'abc']);
});
test('what was given is copied', async () => {
  const data = utf8('abc');
  const response = new Response(data);
  data[0] = 120;
  equal(await response.text(), 'abc');
});
test('what is taken is a copy', async () => {
  const response = new Response('abc');
  const clone = response.clone();
  (await response.bytes())[0] = 120;
  equal(await clone.text(), 'abc');
});
test('body is a stream, the same one each time', async () => {
  const response = new Response('abc');
  const { body } = response;
  assert(body instanceof ReadableStream && response.body === body && !body.locked);
  const reader = body.getReader();
  await rejects(TypeError, response.text());
  equal(response.bodyUsed, false);
  const { value, done } = await reader.read();
  equal([new TextDecoder().decode(value), done, response.bodyUsed], ['abc', false, true]);
  equal((await reader.read()).done, true);
});
test('for await over the body', async () => {
  let text = '';
  for await (const chunk of new Response('abc').body) text += new TextDecoder().decode(chunk);
  equal(text, 'abc');
});
test('an empty body is still a stream', async () => {
  const { done } = await new Response('').body.getReader().read();
  equal(done, true);
});
test('a stream as body', async () => {
  const stream = new ReadableStream({
    start(controller) { controller.enqueue(utf8('a')); },
    pull(controller) { controller.enqueue(utf8('b')); controller.close(); },
  });
  const response = new Response(stream);
  const clone = response.clone();
  equal([await response.text(), await clone.text()], ['ab', 'ab']);
});
test('a stream of anything but bytes rejects', async () => {
  const stream = new ReadableStream({ start(controller) { controller.enqueue('text'); controller.close(); } });
  await rejects(TypeError, new Response(stream).text());
});
test('a failing stream rejects with its error', async () => {
  const error = new RangeError('broken');
  const stream = new ReadableStream({ start(controller) { controller.error(error); } });
  try { await new Response(stream).text(); fail('fulfilled'); } catch (caught) { assert(caught === error); }
});
test('a locked or read stream is refused', async () => {
  const stream = new ReadableStream({ start(controller) { controller.close(); } });
  stream.getReader();
  throws(TypeError, () => new Response(stream));
  const read = new ReadableStream({ start(controller) { controller.close(); } });
  const reader = read.getReader();
  await reader.read();
  reader.releaseLock();
  throws(TypeError, () => new Response(read));
});
test('formData of both encodings', async () => {
  const form = await new Response('a=1&b=ü+x', { headers: { 'content-type': 'application/x-www-form-urlencoded' } }).formData();
  equal([...form], [['a', '1'], ['b', 'ü x']]);
  await rejects(TypeError, new Response('a=1').formData());
  await rejects(TypeError, new Response('x', { headers: { 'content-type': 'multipart/form-data; boundary=b' } }).formData());
});
