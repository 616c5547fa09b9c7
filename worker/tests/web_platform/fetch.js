// Uses a real HTTP server: `ORIGIN` is its address. `/echo` responds with the request as JSON, `/status/N` with a status,
// `/redirect/N` with a redirect to `/echo` of status N, `/slow` after a long time, `/bytes` with the bytes 0 to 255.

const echo = async (init, path = '/echo?q=1') => (await fetch(`${ORIGIN}${path}`, init)).json();

test('GET', async () => {
  const response = await fetch(`${ORIGIN}/echo?a=b#fragment`);
  assert(response instanceof Response);
  equal([response.status, response.statusText, response.ok, response.type, response.redirected, response.url],
    [200, 'OK', true, 'basic', false, `${ORIGIN}/echo?a=b`]);
  equal(response.headers.get('content-type'), 'application/json');
  const request = await response.json();
  equal([request.method, request.path, request.body], ['GET', '/echo?a=b', '']);
});
test('headers arrive, ours too', async () => {
  const { headers } = await echo({ headers: { 'X-One': '1', 'x-two': 'ä'.normalize('NFD')[0] } });
  equal([headers['x-one'], headers['x-two'], headers.accept], ['1', 'a', '*/*']);
});
for (const [name, init, body, type] of [
  ['text', { body: 'ü' }, 'ü', 'text/plain;charset=UTF-8'],
  ['JSON', { body: JSON.stringify({ a: 1 }), headers: { 'content-type': 'application/json' } }, '{"a":1}', 'application/json'],
  ['URLSearchParams', { body: new URLSearchParams({ a: 'ü' }) }, 'a=%C3%BC', 'application/x-www-form-urlencoded;charset=UTF-8'],
  ['Blob', { body: new Blob(['x'], { type: 'a/b' }) }, 'x', 'a/b'],
  ['bytes', { body: utf8('x') }, 'x', undefined],
  ['stream', { body: new Response('streamed').body, duplex: 'half' }, 'streamed', undefined],
]) {
  test(`POST ${name}`, async () => {
    const request = await echo({ method: 'POST', ...init });
    equal([request.method, request.body, request.headers['content-type']], ['POST', body, type]);
  });
}
test('POST FormData', async () => {
  const form = new FormData();
  form.append('a', 'b');
  form.append('f', new Blob(['x']), 'n');
  const { body, headers } = await echo({ method: 'POST', body: form });
  const back = await new Response(body, { headers: { 'content-type': headers['content-type'] } }).formData();
  equal([back.get('a'), back.get('f').name, await back.get('f').text()], ['b', 'n', 'x']);
});
for (const method of ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'X-OWN']) {
  test(method, async () => equal((await echo({ method })).method, method));
}
test('HEAD has no body', async () => equal(await (await fetch(`${ORIGIN}/echo`, { method: 'HEAD' })).text(), ''));
test('takes a Request, and init wins', async () => {
  const request = new Request(`${ORIGIN}/echo`, { method: 'POST', body: 'x', headers: { a: '1' } });
  const sent = await (await fetch(request, { headers: { b: '2' } })).json();
  equal([sent.method, sent.body, sent.headers.a, sent.headers.b], ['POST', 'x', undefined, '2']);
  assert(request.bodyUsed);
  await rejects(TypeError, fetch(request));
});
test('an error status is an answer', async () => {
  const response = await fetch(`${ORIGIN}/status/503`);
  equal([response.ok, response.status, response.statusText], [false, 503, 'Service Unavailable']);
  equal((await fetch(`${ORIGIN}/status/204`)).body, null);
});
test('binary bodies', async () => {
  const view = await (await fetch(`${ORIGIN}/bytes`)).bytes();
  equal(view.length, 256);
  assert(view.every((byte, i) => byte === i));
});
test('body as a stream', async () => {
  let count = 0;
  for await (const chunk of (await fetch(`${ORIGIN}/bytes`)).body) count += chunk.length;
  equal(count, 256);
});
test('redirects are followed', async () => {
  const response = await fetch(`${ORIGIN}/redirect/302`, { method: 'POST', body: 'x' });
  equal([response.redirected, response.url, (await response.json()).method], [true, `${ORIGIN}/echo`, 'GET']);
  const kept = await (await fetch(`${ORIGIN}/redirect/307`, { method: 'POST', body: 'x' })).json();
  equal([kept.method, kept.body], ['POST', 'x']);
});
test('or not', async () => {
  await rejects(TypeError, fetch(`${ORIGIN}/redirect/302`, { redirect: 'error' }));
  const response = await fetch(`${ORIGIN}/redirect/302`, { redirect: 'manual' });
  equal([response.status, response.headers.get('location')], [302, '/echo']);
});
test('headers of an answer are immutable', async () => {
  const { headers } = await fetch(`${ORIGIN}/echo`);
  throws(TypeError, () => headers.set('a', 'b'));
});
test('abort before', async () => {
  const reason = new RangeError('mine');
  try { await fetch(`${ORIGIN}/echo`, { signal: AbortSignal.abort(reason) }); fail('fulfilled'); } catch (error) { assert(error === reason); }
});
test('abort meanwhile', async () => {
  const controller = new AbortController();
  const promise = fetch(`${ORIGIN}/slow`, { signal: controller.signal });
  setTimeout(() => controller.abort(), 20);
  await rejects('AbortError', promise);
});
test('abort by time', async () => {
  await rejects('TimeoutError', fetch(`${ORIGIN}/slow`, { signal: AbortSignal.timeout(20) }));
});
test('abort after the answer leaves the body', async () => {
  const controller = new AbortController();
  const response = await fetch(`${ORIGIN}/bytes`, { signal: controller.signal });
  controller.abort();
  equal((await response.bytes()).length, 256);
});
test('refusals are TypeErrors that say why', async () => {
  const error = await rejects(TypeError, fetch('http://not-allowed.example/'));
  equal(error.message, 'Domain not allowed: not-allowed.example');
  assert(/^TypeError: Domain not allowed/.test(error.stack) && /script:/.test(error.stack), error.stack);
});
test('what is no request rejects', async () => {
  await rejects(TypeError, fetch());
  await rejects(TypeError, fetch('nope'));
  await rejects(TypeError, fetch('http://u:p@a/'));
  await rejects(TypeError, fetch(`${ORIGIN}/echo`, { method: 'GET', body: 'x' }));
  await rejects(TypeError, fetch('ftp://a/'));
});
test('many at once', async () => {
  const answers = await Promise.all(Array.from({ length: 15 }, (_, i) => echo({}, `/echo?i=${i}`)));
  equal(answers.map((answer) => answer.path), Array.from({ length: 15 }, (_, i) => `/echo?i=${i}`));
});
