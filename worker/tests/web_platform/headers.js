const list = (init) => [...new Headers(init)];

test('from an object, pairs, Headers, a Map', () => {
  equal(list({ B: '2', a: 1 }), [['a', '1'], ['b', '2']]);
  equal(list([['B', '2'], ['a', '1']]), [['a', '1'], ['b', '2']]);
  equal(list(new Headers({ x: 'y' })), [['x', 'y']]);
  equal(list(new Map([['x', 'y']])), [['x', 'y']]);
  equal(list(undefined), []);
  equal(list({}), []);
});
test('refuses null, text and odd pairs', () => {
  throws(TypeError, () => new Headers(null));
  throws(TypeError, () => new Headers('a: b'));
  throws(TypeError, () => new Headers([['a']]));
  throws(TypeError, () => new Headers([['a', 'b', 'c']]));
  throws(TypeError, () => new Headers(5));
});
test('names are tokens', () => {
  for (const name of ['', ' ', 'a b', 'a:', 'a\n', 'ü', '(a)', 'a,b', '\u0100']) {
    throws(TypeError, () => new Headers({ [name]: 'x' }), name);
    throws(TypeError, () => new Headers().append(name, 'x'), name);
    throws(TypeError, () => new Headers().get(name), name);
    throws(TypeError, () => new Headers().has(name), name);
  }
  for (const name of ["!#$%&'*+-.^_`|~", '0', 'x']) new Headers().set(name, 'v');
});
test('values are bytes without NUL, CR, LF inside', () => {
  for (const value of ['a\0', 'a\nb', 'a\rb', '\u0100']) throws(TypeError, () => new Headers({ a: value }), show(value));
  equal(new Headers({ a: ' \t\r\nx y\t ' }).get('a'), 'x y');
  equal(new Headers({ a: 'ÿ' }).get('a'), 'ÿ');
  equal(new Headers({ a: '' }).get('a'), '');
});
test('append combines, set replaces, delete removes', () => {
  const headers = new Headers();
  headers.append('X', '1');
  headers.append('x', '2');
  equal(headers.get('X'), '1, 2');
  headers.set('x', 3);
  equal(headers.get('x'), '3');
  headers.delete('X');
  equal([headers.get('x'), headers.has('x')], [null, false]);
});
test('Set-Cookie stays apart', () => {
  const headers = new Headers([['set-cookie', 'a=1'], ['b', '2'], ['Set-Cookie', 'c=3']]);
  equal(headers.getSetCookie(), ['a=1', 'c=3']);
  equal([...headers], [['b', '2'], ['set-cookie', 'a=1'], ['set-cookie', 'c=3']]);
  equal(headers.get('set-cookie'), 'a=1, c=3');
});
test('iteration is sorted, and lives', () => {
  const headers = new Headers({ c: '1', a: '2' });
  equal([...headers.keys()], ['a', 'c']);
  equal([...headers.values()], ['2', '1']);
  const seen = [];
  for (const [name] of headers) {
    seen.push(name);
    if (name === 'a') headers.append('b', '3');
  }
  equal(seen, ['a', 'b', 'c']);
  const each = [];
  headers.forEach((value, name, whole) => each.push([name, value, whole === headers]));
  equal(each[0], ['a', '2', true]);
  throws(TypeError, () => headers.forEach());
  throws(TypeError, () => headers.forEach('x'));
});
test('a record is read in own enumerable order', () => {
  const order = [];
  const record = new Proxy({ b: '1', a: '2' }, {
    ownKeys(target) { order.push('keys'); return Reflect.ownKeys(target); },
    getOwnPropertyDescriptor(target, key) { order.push(`descriptor ${key}`); return Reflect.getOwnPropertyDescriptor(target, key); },
    get(target, key, receiver) { if (typeof key === 'string') order.push(`get ${key}`); return Reflect.get(target, key, receiver); },
  });
  new Headers(record);
  equal(order, ['keys', 'descriptor b', 'get b', 'descriptor a', 'get a']);
});
test('symbols as keys are refused', () => throws(TypeError, () => new Headers({ [Symbol('x')]: 'y' })));
test('needs its arguments and its receiver', () => {
  throws(TypeError, () => new Headers().append('a'));
  throws(TypeError, () => new Headers().get());
  throws(TypeError, () => Headers.prototype.get.call({}, 'a'));
});
