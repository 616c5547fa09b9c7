const at = (init) => new Request('http://a/', init);

test('defaults', () => {
  const request = at();
  equal([request.method, request.url, request.redirect, request.mode, request.credentials, request.cache, request.body,
    request.bodyUsed, request.referrer, request.integrity, request.keepalive, request.destination, request.duplex],
  ['GET', 'http://a/', 'follow', 'cors', 'same-origin', 'default', null, false, 'about:client', '', false, '', 'half']);
  assert(request.headers instanceof Headers && request.signal instanceof AbortSignal && !request.signal.aborted);
});
test('the URL is parsed, keeps its fragment, and has no credentials', () => {
  equal(new Request('HTTP://A/b c#d').url, 'http://a/b%20c#d');
  equal(new Request(new URL('http://a/x')).url, 'http://a/x');
  throws(TypeError, () => new Request('/relative'));
  throws(TypeError, () => new Request('http://u:p@a/'));
  throws(TypeError, () => new Request());
});
test('methods', () => {
  for (const [given, kept] of [['get', 'GET'], ['pOsT', 'POST'], ['patch', 'patch'], ['PATCH', 'PATCH'], ['x-own', 'x-own'], ['delete', 'DELETE']]) {
    equal(at({ method: given }).method, kept, given);
  }
  for (const bad of ['', 'a b', 'CONNECT', 'trace', 'Track', 'ü']) throws(TypeError, () => at({ method: bad }), bad);
});
test('no body with GET and HEAD', () => {
  throws(TypeError, () => at({ body: 'x' }));
  throws(TypeError, () => at({ method: 'HEAD', body: '' }));
  equal(at({ body: null }).body, null);
  equal(at({ body: undefined }).body, null);
});
test('enumerations', () => {
  for (const [key, value] of Object.entries({ redirect: 'x', mode: 'navigate', credentials: 'x', cache: 'x', referrerPolicy: 'x', duplex: 'full' })) {
    throws(TypeError, () => at({ [key]: value }), key);
  }
  equal(at({ redirect: 'manual', mode: 'no-cors', credentials: 'omit', cache: 'no-store' }).redirect, 'manual');
  throws(TypeError, () => at({ window: {} }));
});
for (const [name, body, type] of [
  ['text', 'x', 'text/plain;charset=UTF-8'],
  ['URLSearchParams', new URLSearchParams('a=b'), 'application/x-www-form-urlencoded;charset=UTF-8'],
  ['a Blob with type', new Blob(['x'], { type: 'a/b' }), 'a/b'],
  ['a Blob without type', new Blob(['x']), null],
  ['an ArrayBuffer', new ArrayBuffer(1), null],
  ['a view', new Uint8Array(1), null],
  ['an object', { toString() { return 'x'; } }, 'text/plain;charset=UTF-8'],
]) {
  test(`content type of ${name}`, () => equal(at({ method: 'POST', body }).headers.get('content-type'), type));
}
test('a content type of the script stays', () => {
  equal(at({ method: 'POST', body: 'x', headers: { 'Content-Type': 'a/b' } }).headers.get('content-type'), 'a/b');
});
test('copies a request and takes its body', async () => {
  const first = at({ method: 'POST', body: 'abc', headers: { a: 'b' } });
  const second = new Request(first, { headers: { c: 'd' } });
  equal([second.method, second.headers.get('a'), second.headers.get('c'), first.bodyUsed], ['POST', null, 'd', true]);
  equal(await second.text(), 'abc');
  throws(TypeError, () => new Request(first));
});
test('init replaces a body; the first keeps its own', async () => {
  const first = at({ method: 'POST', body: 'abc' });
  const second = new Request(first, { body: 'new' });
  equal([await second.text(), first.bodyUsed], ['new', false]);
});
test('clone', async () => {
  const first = at({ method: 'POST', body: 'abc', headers: { a: 'b' } });
  const second = first.clone();
  assert(second !== first && second.headers !== first.headers && second.signal !== first.signal);
  second.headers.set('a', 'c');
  equal(first.headers.get('a'), 'b');
  equal([await first.text(), await second.text()], ['abc', 'abc']);
  throws(TypeError, () => first.clone());
});
test('the signal follows', () => {
  const controller = new AbortController();
  const request = at({ signal: controller.signal });
  const copy = new Request(request);
  const clone = request.clone();
  assert(request.signal !== controller.signal);
  controller.abort('why');
  equal([request.signal.reason, copy.signal.reason, clone.signal.reason], ['why', 'why', 'why']);
  assert(at({ signal: null }).signal instanceof AbortSignal);
  throws(TypeError, () => at({ signal: {} }));
});
test('a stream as body needs duplex', async () => {
  const stream = () => new ReadableStream({ start(controller) { controller.enqueue(utf8('ab')); controller.close(); } });
  throws(TypeError, () => at({ method: 'POST', body: stream() }));
  equal(await at({ method: 'POST', body: stream(), duplex: 'half' }).text(), 'ab');
});
