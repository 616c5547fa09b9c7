const params = (init) => new URLSearchParams(init);
const text = (init, expected) => test(`${JSON.stringify(init)} is ${expected}`, () => equal(params(init).toString(), expected));

text('', '');
text('?a=b', 'a=b');
text('??a=b', '%3Fa=b');
text('a=b&a=c', 'a=b&a=c');
text('a', 'a=');
text('=b', '=b');
text('&&a=b&&', 'a=b');
text('a=b=c', 'a=b%3Dc');
text('a+b=c+d', 'a+b=c+d');
text('a%20b=%2B', 'a+b=%2B');
text('a=%zz%4', 'a=%25zz%254');
text('a=%e2%9d', 'a=%EF%BF%BD');
text('ü=€', '%C3%BC=%E2%82%AC');
text("a=*-._~!'()", 'a=*-._%7E%21%27%28%29');
text({ a: 1, b: null, c: undefined }, 'a=1&b=null&c=undefined');
text([['a', 'b'], ['a', 'c']], 'a=b&a=c');
text([], '');
text({}, '');
text('a=\ud800', 'a=%EF%BF%BD');
text('a=%EF%BB%BFb', 'a=%EF%BB%BFb');

test('copies another', () => {
  const first = params('a=1');
  const second = params(first);
  first.append('b', '2');
  equal(second.toString(), 'a=1');
});
test('takes a Map, a FormData-like iterable, a generator', () => {
  equal(params(new Map([['a', '1'], ['b', '2']])).toString(), 'a=1&b=2');
  equal(params((function* pairs() { yield ['x', 'y']; })()).toString(), 'x=y');
});
test('pairs must be pairs', () => {
  throws(TypeError, () => params([['a']]));
  throws(TypeError, () => params([['a', 'b', 'c']]));
  throws(TypeError, () => params(['a']) && params([1]));
});
test('symbols are refused', () => throws(TypeError, () => params(Symbol('x'))));
test('append, get, getAll, has, set, delete, size', () => {
  const p = params();
  p.append('a', 1);
  p.append('a', 'x');
  p.append('b', null);
  equal(p.get('a'), '1');
  equal(p.get('none'), null);
  equal(p.getAll('a'), ['1', 'x']);
  equal(p.getAll('none'), []);
  equal([p.has('a'), p.has('c'), p.has('a', 'x'), p.has('a', 'y')], [true, false, true, false]);
  equal(p.size, 3);
  p.set('a', 'new');
  equal(p.toString(), 'a=new&b=null');
  p.set('c', 'd');
  p.delete('b');
  equal(p.toString(), 'a=new&c=d');
  p.append('c', 'e');
  p.delete('c', 'd');
  equal(p.toString(), 'a=new&c=e');
  p.delete('c', undefined);
  equal(p.toString(), 'a=new');
});
test('methods need their arguments', () => {
  throws(TypeError, () => params().append('a'));
  throws(TypeError, () => params().get());
  throws(TypeError, () => params().set('a'));
});
test('sort is stable and by code units', () => {
  const p = params('z=b&a=b&z=a&a=a');
  p.sort();
  equal(p.toString(), 'a=b&a=a&z=b&z=a');
  const q = params('\ufffd=x&\ud83d\ude00=y&a=z');
  q.sort();
  equal([...q.keys()], ['a', '\ud83d\ude00', '\ufffd']);
});
test('iterates entries, keys, values, forEach', () => {
  const p = params('a=1&b=2');
  equal([...p], [['a', '1'], ['b', '2']]);
  equal([...p.keys()], ['a', 'b']);
  equal([...p.values()], ['1', '2']);
  const seen = [];
  p.forEach(function each(value, name, whole) { seen.push([value, name, whole === p, this]); }, 7);
  equal(seen.map((entry) => entry.slice(0, 3)), [['1', 'a', true], ['2', 'b', true]]);
  equal(Number(seen[0][3]), 7);
  assert(p[Symbol.iterator] === p.entries);
});
test('iteration sees changes made meanwhile', () => {
  const p = params('a=1&b=2&c=3');
  const seen = [];
  for (const [name] of p) {
    seen.push(name);
    if (name === 'a') p.delete('b');
  }
  equal(seen, ['a', 'c']);
});
test('iterators have the standard shape', () => {
  const iterator = params('a=1').entries();
  equal(Object.prototype.toString.call(iterator), '[object URLSearchParams Iterator]');
  equal(iterator.next(), { value: ['a', '1'], done: false });
  equal(iterator.next(), { value: undefined, done: true });
  throws(TypeError, () => iterator.next.call({}));
  assert(iterator[Symbol.iterator]() === iterator);
});
