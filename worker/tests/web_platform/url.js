const parses = (input, base, expected) => test(`parses ${input}${base === undefined ? '' : ` against ${base}`}`, () => {
  const url = new URL(input, base);
  for (const [part, value] of Object.entries(expected)) equal(url[part], value, part);
});

parses('http://example.com', undefined, { href: 'http://example.com/', origin: 'http://example.com', pathname: '/' });
parses('HTTP://EXAMPLE.com:80/a/../b?c#d', undefined, { href: 'http://example.com/b?c#d', port: '' });
parses('https://user:pa%20ss@host:8443/p', undefined, {
  username: 'user', password: 'pa%20ss', host: 'host:8443', hostname: 'host', port: '8443', origin: 'https://host:8443',
});
parses('  http://a/\tb\n', undefined, { href: 'http://a/b' });
parses('http:\\\\a\\b', undefined, { href: 'http://a/b' });
parses('//b/c', 'https://a/', { href: 'https://b/c' });
parses('?q', 'https://a/x/y?z#f', { href: 'https://a/x/y?q' });
parses('#h', 'https://a/x?y', { href: 'https://a/x?y#h' });
parses('../../../z', 'https://a/b/c/d', { href: 'https://a/z' });
parses('./%2e/%2E%2e/x', 'https://a/b/c/', { href: 'https://a/b/x' });
parses('http://0x7f.1/', undefined, { hostname: '127.0.0.1' });
parses('http://2130706433/', undefined, { hostname: '127.0.0.1' });
parses('http://017700000001/', undefined, { hostname: '127.0.0.1' });
parses('http://[::1]:3000/', undefined, { hostname: '[::1]', host: '[::1]:3000' });
parses('http://[2001:db8:0:0:1:0:0:1]/', undefined, { hostname: '[2001:db8::1:0:0:1]' });
parses('http://[::ffff:192.0.2.1]/', undefined, { hostname: '[::ffff:c000:201]' });
parses('http://ex%61mple.com/', undefined, { hostname: 'example.com' });
parses('http://ÜBER.example/', undefined, { hostname: 'xn--ber-goa.example' });
parses('http://faß.example/', undefined, { hostname: 'xn--fa-hia.example' });
parses('http://a/ü ?ü #ü ', undefined, { pathname: '/%C3%BC%20', search: '?%C3%BC%20', hash: '#%C3%BC' });
parses("http://a/?'", undefined, { search: '?%27' });
parses('foo://a/b c', undefined, { href: 'foo://a/b%20c', origin: 'null', protocol: 'foo:' });
parses('mailto:x@y.z', undefined, { protocol: 'mailto:', pathname: 'x@y.z', origin: 'null' });
parses('data:text/plain,hi there', undefined, { pathname: 'text/plain,hi there' });
parses('file:///C|/x', undefined, { href: 'file:///C:/x' });
parses('file://localhost/x', undefined, { href: 'file:///x' });
parses('blob:https://a/uuid', undefined, { origin: 'https://a' });
parses('javascript:alert(1)', undefined, { protocol: 'javascript:', pathname: 'alert(1)' });
parses('http://a/%zz', undefined, { pathname: '/%zz' });
parses('http://a//b', undefined, { pathname: '//b' });
parses('ws://a:80/', undefined, { href: 'ws://a/' });
parses('http://a:0/', undefined, { port: '0' });
parses('http://a:00000000000000000000081/', undefined, { port: '81' });

for (const bad of [
  '', 'nope', 'http://192.168.0.257', '/x', 'http://', 'http://a b/', 'http://[::1', 'http://a:99999/', 'http://a:b/', 'http://%00/', 'http://a<b/',
  'http://[1:2]/', 'http://1.2.3.4.5/', 'http://256.256.256.256/', 'http://xn--/', 'https://a%2fb/', 'http://0x100000000/',
]) {
  test(`refuses ${JSON.stringify(bad)}`, () => {
    throws(TypeError, () => new URL(bad), bad);
    equal(URL.canParse(bad), false);
    equal(URL.parse(bad), null);
  });
}

test('the error names the input', () => {
  const error = throws(TypeError, () => new URL('nope'));
  equal(error.message, 'Invalid URL');
  equal(error.code, 'ERR_INVALID_URL');
  equal(error.input, 'nope');
});
test('needs an argument', () => throws(TypeError, () => new URL()));
test('is not callable without new', () => throws(TypeError, () => URL('http://a')));
test('takes a URL as input and base', () => equal(new URL(new URL('http://a/b'), new URL('http://c')).href, 'http://a/b'));
test('undefined as base is none', () => throws(TypeError, () => new URL('x', undefined)));
test('null as base is text', () => throws(TypeError, () => new URL('x', null)));
test('canParse takes a base', () => assert(URL.canParse('x', 'http://a/')));
test('parse answers a URL', () => {
  const url = URL.parse('x', 'http://a/');
  assert(url instanceof URL);
  equal(url.href, 'http://a/x');
});

const sets = (start, part, value, expected) => test(`${start} with ${part} = ${JSON.stringify(value)}`, () => {
  const url = new URL(start);
  url[part] = value;
  equal(url.href, expected);
});
sets('http://a/', 'protocol', 'https', 'https://a/');
sets('http://a/', 'protocol', 'https:x', 'https://a/');
sets('http://a/', 'protocol', 'foo', 'http://a/');
sets('http://a:443/', 'protocol', 'https', 'https://a/');
sets('http://a/', 'username', 'ü@', 'http://%C3%BC%40@a/');
sets('http://a/', 'password', ':', 'http://:%3A@a/');
sets('mailto:x', 'username', 'u', 'mailto:x');
sets('http://a/', 'host', 'b:81', 'http://b:81/');
sets('http://a:81/', 'host', 'b', 'http://b:81/');
sets('http://a:81/', 'hostname', 'b:82', 'http://a:81/');
sets('http://a:81/', 'hostname', 'b', 'http://b:81/');
sets('http://a/', 'host', '', 'http://a/');
sets('http://a/', 'port', '8080', 'http://a:8080/');
sets('http://a:81/', 'port', '', 'http://a/');
sets('http://a:81/', 'port', '80', 'http://a/');
sets('http://a/', 'port', '90x', 'http://a:90/');
sets('http://a/', 'port', '65536', 'http://a/');
sets('http://a/b', 'pathname', 'c d', 'http://a/c%20d');
sets('http://a/b', 'pathname', '', 'http://a/');
sets('http://a/b?x', 'pathname', '?', 'http://a/%3F?x');
sets('data:x', 'pathname', 'y', 'data:x');
sets('http://a/', 'search', 'q', 'http://a/?q');
sets('http://a/?q', 'search', '', 'http://a/');
sets('http://a/', 'search', '??', 'http://a/??');
sets('http://a/', 'hash', 'h', 'http://a/#h');
sets('http://a/#h', 'hash', '', 'http://a/');
sets('http://a/', 'hash', '##', 'http://a/##');
sets('http://a/', 'href', 'http://b/c', 'http://b/c');

test('a wrong href throws and changes nothing', () => {
  const url = new URL('http://a/');
  throws(TypeError, () => { url.href = 'nope'; });
  equal(url.href, 'http://a/');
});
test('origin and searchParams are read-only', () => {
  const url = new URL('http://a/?b');
  throws(TypeError, () => { 'use strict'; url.origin = 'http://b'; });
  equal(url.origin, 'http://a');
});
test('searchParams and search follow each other', () => {
  const url = new URL('http://a/?x=1&x=2');
  const { searchParams } = url;
  assert(url.searchParams === searchParams);
  searchParams.append('y', 'ü &=');
  equal(url.href, 'http://a/?x=1&x=2&y=%C3%BC+%26%3D');
  url.search = '?z=9';
  equal([...searchParams], [['z', '9']]);
  searchParams.delete('z');
  equal(url.href, 'http://a/');
  url.href = 'http://b/?k=v';
  equal(searchParams.get('k'), 'v');
});
test('toString and toJSON are href', () => {
  const url = new URL('http://a/b');
  equal(`${url}`, 'http://a/b');
  equal(JSON.stringify({ url }), '{"url":"http://a/b"}');
});
test('lone surrogates become U+FFFD', () => equal(new URL('http://a/\ud800').pathname, '/%EF%BF%BD'));
