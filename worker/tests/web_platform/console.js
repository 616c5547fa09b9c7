// Output of `console`. The script logs, and the driver compares the execution's log lines with `lines`, in order.
// The texts for values are those of Node 22's `util.inspect`. They must not depend on a stack trace.

const lines = [];
/** A message of which only the ends are known. */
const between = (start, end) => ({ start, end });
const logged = (level, message) => { lines.push({ level, message }); };
/** Logs the arguments and expects one line. */
function prints(message, ...args) {
  logged('info', message);
  console.log(...args);
}

// Values
prints(`1`, 1);
prints(`-0`, -0);
prints(`text`, "text");
prints(`{ a: 1, b: 'x', c: [ 1, 2, 3 ], d: { e: { f: [Object] } } }`, ({a:1,b:'x',c:[1,2,3],d:{e:{f:{g:1}}}}));
prints(`{
  a: 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
  b: 'yyyyyyyyyyyyyyyyyyyy'
}`, ({a:'x'.repeat(60),b:'y'.repeat(20)}));
prints(`[ [ [ [Array] ] ] ]`, [[[[[]]]]]);
prints(`[ 1, 2 ]`, new Proxy([1,2],{get(){throw 1}}));
prints(`{ a: {} }`, new Proxy({a:new Proxy({},{})},{get(){throw 1}}));
prints(`[Object: null prototype] {}`, Object.create(null));
prints(`A {}`, new (class A{}));
prints(`<ref *1> A { x: 1, self: [Circular *1] }`, new (class A{constructor(){this.x=1;this.self=this}}));
prints(`{ 'a-b': 2, [Symbol(a)]: 1 }`, ({[Symbol('a')]:1,'a-b':2,__proto__:{z:1}}));
prints(`[class A extends Map]`, (class A extends Map{}));
prints(`[class A]`, (class A{}));
prints(`[class (anonymous)]`, (class{}));
prints(`[AsyncFunction (anonymous)]`, (async()=>{}));
prints(`[GeneratorFunction: a]`, (function*a(){}));
prints(`[AsyncGeneratorFunction: b]`, (async function*b(){}));
prints(`[Function: f]`, (function f(){}));
prints(`[Function (anonymous)] { a: 1 }`, Object.assign(()=>{},{a:1}));
prints(`[String: 'abc']`, new String('abc'));
prints(`[Symbol: Symbol(x)]`, Object(Symbol('x')));
prints(`[BigInt: 1n]`, Object(1n));
prints(`[Number: -0]`, new Number(-0));
prints(`[Boolean: false]`, new Boolean(false));
prints(`DataView {
  byteLength: 2,
  byteOffset: 0,
  buffer: ArrayBuffer { [Uint8Contents]: <00 00>, byteLength: 2 }
}`, new DataView(new ArrayBuffer(2)));
prints(`ArrayBuffer {
  [Uint8Contents]: <00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00>,
  byteLength: 60
}`, new ArrayBuffer(60));
prints(`Uint8Array(5) [ 0, 0, 0, 0, 0 ]`, new Uint8Array(5));
prints(`Uint8Array(300) [
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0, 0, 0,
  ... 200 more items
]`, new Uint8Array(300));
prints(`Float64Array(2) [ 1.5, 2.5 ]`, new Float64Array([1.5,2.5]));
prints(`BigInt64Array(3) [ 0n, 0n, 0n ]`, new BigInt64Array(3));
prints(`[Map Entries] { [ 1, { a: [] } ] }`, new Map([[1,{a:[]}]]).entries());
prints(`[Map Iterator] { 1 }`, new Map([[1,{a:[]}]]).keys());
prints(`[Set Iterator] { 1 }`, new Set([1]).values());
prints(`Map(2) { { a: 1 } => 'x', 'k' => Map(1) { 1 => 2 } }`, new Map([[{a:1},'x'],['k',new Map([[1,2]])]]));
prints(`Set(4) { 1, 'a', { b: 1 }, [ 1 ] }`, new Set([1,'a',{b:1},[1]]));
prints(`Map(0) {}`, new Map);
prints(`Set(0) {}`, new Set);
prints(`Promise { 5 }`, Promise.resolve(5));
prints(`Promise { <pending> }`, new Promise(()=>{}));
prints(`Promise { { a: { b: [Object] } } }`, Promise.resolve({a:{b:{c:{}}}}));
prints(`WeakMap { <items unknown> }`, new WeakMap);
prints(`WeakSet { <items unknown> }`, new WeakSet);
prints(`Object [Math] {}`, Math);
prints(`Object [JSON] {}`, JSON);
prints(`Object [Generator] {}`, (function*(){})());
prints(`X(3) [ <3 empty items> ]`, new (class X extends Array{})(3));
prints(`[Array(1): null prototype] [ 1 ]`, Object.setPrototypeOf([1],null));
prints(`[Map(1): null prototype] { 1 => 2 }`, Object.setPrototypeOf(new Map([[1,2]]),null));
prints(`[Date: null prototype] 1970-01-01T00:00:00.000Z`, Object.setPrototypeOf(new Date(0),null));
prints(`[RegExp: null prototype] /a/`, Object.setPrototypeOf(/a/,null));
prints(`[Function (null prototype): f]`, Object.setPrototypeOf(function f(){},null));
prints(`{ a: 'a\\nba\\nba\\nba\\nba\\nb' }`, ({a:'a\nb'.repeat(5)}));
prints(`{}`, Object.create({a:1}));
prints(`Z {}`, Object.create(class Z{}.prototype));
prints(`[ 1, <1 empty item>, 3 ]`, [1,,3]);
prints(`[ <3 empty items> ]`, [,,,]);
prints(`[ 1, <3 empty items>, 5, undefined, null ]`, [1,,,,5,undefined,null]);
prints(`[
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7,
  ... 100 more items
]`, Array(200).fill(7));
prints(`[
   0,  1,  2,  3,  4,  5,  6,  7,  8,  9, 10, 11,
  12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23,
  24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35,
  36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47,
  48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59,
  60, 61, 62, 63, 64, 65, 66, 67, 68, 69, 70, 71,
  72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83,
  84, 85, 86, 87, 88, 89, 90, 91, 92, 93, 94, 95,
  96, 97, 98, 99,
  ... 50 more items
]`, Array.from({length:150},(_, i)=>i));
prints(`[
  'item0',  'item1',  'item2',
  'item3',  'item4',  'item5',
  'item6',  'item7',  'item8',
  'item9',  'item10', 'item11',
  'item12', 'item13', 'item14',
  'item15', 'item16', 'item17',
  'item18', 'item19', 'item20',
  'item21', 'item22', 'item23',
  'item24', 'item25', 'item26'
]`, Array.from({length:27},(_, i)=>'item'+i));
prints(`[
  '',                 'item',
  'itemitem',         'itemitemitem',
  'itemitemitemitem', '',
  'item',             'itemitem',
  'itemitemitem',     'itemitemitemitem',
  '',                 'item',
  'itemitem',         'itemitemitem',
  'itemitemitemitem', '',
  'item',             'itemitem',
  'itemitemitem',     'itemitemitemitem',
  '',                 'item',
  'itemitem',         'itemitemitem',
  'itemitemitemitem', '',
  'item'
]`, Array.from({length:27},(_, i)=>'item'.repeat(i%5)));
prints(`[
  { id: 0 }, { id: 1 },
  { id: 2 }, { id: 3 },
  { id: 4 }, { id: 5 },
  { id: 6 }, { id: 7 },
  { id: 8 }, { id: 9 }
]`, Array.from({length:10},(_, i)=>({id:i})));
prints(`[
     0, 1000, 2000,
  3000, 4000, 5000,
  6000
]`, Array.from({length:7},(_, i)=>i*1000));
prints(`[
  'x0',  'x1',  'x2',  'x3',  'x4',  'x5',  'x6',  'x7',
  'x8',  'x9',  'x10', 'x11', 'x12', 'x13', 'x14', 'x15',
  'x16', 'x17', 'x18', 'x19', 'x20', 'x21', 'x22', 'x23',
  'x24', 'x25', 'x26', 'x27', 'x28', 'x29', 'x30', 'x31',
  'x32', 'x33', 'x34', 'x35', 'x36', 'x37', 'x38', 'x39',
  'x40', 'x41', 'x42', 'x43', 'x44', 'x45', 'x46', 'x47',
  'x48', 'x49', 'x50', 'x51', 'x52', 'x53', 'x54', 'x55',
  'x56', 'x57', 'x58', 'x59', 'x60', 'x61', 'x62', 'x63',
  'x64', 'x65', 'x66', 'x67', 'x68', 'x69', 'x70', 'x71',
  'x72', 'x73', 'x74', 'x75', 'x76', 'x77', 'x78', 'x79',
  'x80', 'x81', 'x82', 'x83', 'x84', 'x85', 'x86', 'x87',
  'x88', 'x89', 'x90', 'x91', 'x92', 'x93', 'x94', 'x95',
  'x96', 'x97', 'x98', 'x99',
  ... 1 more item
]`, Array.from({length:101},(_, i)=>'x'+i));
prints(`{
  key0: 0,
  key1: 1,
  key2: 2,
  key3: 3,
  key4: 4,
  key5: 5,
  key6: 6,
  key7: 7,
  key8: 8,
  key9: 9,
  key10: 10,
  key11: 11,
  key12: 12,
  key13: 13,
  key14: 14,
  key15: 15,
  key16: 16,
  key17: 17,
  key18: 18,
  key19: 19,
  key20: 20,
  key21: 21,
  key22: 22,
  key23: 23,
  key24: 24,
  key25: 25,
  key26: 26,
  key27: 27,
  key28: 28,
  key29: 29
}`, Object.fromEntries(Array.from({length:30},(_, i)=>['key'+i,i])));
prints(`{ a: [Getter/Setter], b: [Getter], c: [Setter] }`, ({get a(){throw 1},set a(v){},get b(){return 1},set c(v){}}));
prints(`1970-01-01T00:00:00.000Z`, new Date(0));
prints(`Invalid Date`, new Date(NaN));
prints(`/ab+c/gi`, /ab+c/gi);
prints(`/x/ { y: 1 }`, Object.assign(/x/,{y:1}));
prints(`[ 1, 2, x: 3, '-1': 4 ]`, Object.assign([1,2],{x:3,'-1':4}));
prints(`<ref *1> { a: [Circular *1], b: { a: [Circular *1] } }`, (()=>{const a={};a.a=a;a.b={a};return a})());
prints(`<ref *1> [ 1, [Circular *1], <ref *2> Map(1) { 'm' => [Circular *2] } ]`, (()=>{const a=[1];a.push(a);const m=new Map;m.set('m',m);a.push(m);return a})());
prints(`{
  u: undefined,
  n: null,
  t: true,
  f: [Function: f],
  g: [Function: g],
  s: Symbol(Symbol.iterator),
  big: 10n,
  neg: -0
}`, ({u:undefined,n:null,t:true,f(){},g:()=>{},s:Symbol.iterator,big:10n,neg:-0}));
prints(`it's`, "it's");
prints(`[
  "it's",
  \`"both" it's\`,
  '\`all\` "it\\'s"',
  '\\\\ \\x00 \\x7F 😀 \\ud800',
  'tab\\t'
]`, ["it's",'"both" it\'s','`all` "it\'s"',"\\ \x00 \x7f \u{1F600} \ud800",'tab\t']);
prints(`{
  a: { b: { c: [Object] }, x: [ [Array] ], m: Map(1) { 1 => [Object] } }
}`, ({a:{b:{c:{d:1}},x:[[[1]]],m:new Map([[1,{a:{}}]])}}));
prints(`{ a: 1, [Symbol(Symbol.toStringTag)]: 'Tagged' }`, ({[Symbol.toStringTag]:'Tagged',a:1}));
prints(`aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa`, 'a'.repeat(10001));
prints(`[
  [
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'
  ],
  'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'
]`, [['a'.repeat(80)],'b'.repeat(80)]);
prints(`{ a: [ { b: [Object] } ], d: Set(1) { [ 1, [Array] ] } }`, ({a:[{b:{c:1}}],d:new Set([[1,[2,[3]]]])}));
prints(`[ undefined, null, NaN, Infinity, -Infinity ]`, [undefined,null,NaN,Infinity,-Infinity]);
prints(`{ '1': 1, 'a b': 2, "it's": 3, 'ünder': 4, '$a': 5, _b: 6 }`, ({'1':1,'a b':2,"it's":3,ünder:4,$a:5,_b:6}));
prints(`{}`, Object.defineProperty({},'hidden',{value:1}));
prints(`Foo { a: 1 }`, new (function Foo(){this.a=1}));
prints(`Object [Reflect] {}`, globalThis.Reflect);
prints(`[ [Function: a], [class B], Symbol(s) ]`, [function a(){}, class B{}, Symbol('s')]);
prints(`[ [ 1, 2, [ 3, 4, [Array] ] ], { a: { b: [Object] } } ]`, [[1,2,[3,4,[5,[6]]]],{a:{b:{c:{}}}}]);
prints(`[
  { i: 0 },  { i: 1 },  { i: 2 },  { i: 3 },  { i: 4 },  { i: 5 },
  { i: 6 },  { i: 7 },  { i: 8 },  { i: 9 },  { i: 10 }, { i: 11 },
  { i: 12 }, { i: 13 }, { i: 14 }, { i: 15 }, { i: 16 }, { i: 17 },
  { i: 18 }, { i: 19 }, { i: 20 }, { i: 21 }, { i: 22 }, { i: 23 },
  { i: 24 }, { i: 25 }, { i: 26 }, { i: 27 }, { i: 28 }, { i: 29 },
  { i: 30 }, { i: 31 }, { i: 32 }, { i: 33 }, { i: 34 }, { i: 35 },
  { i: 36 }, { i: 37 }, { i: 38 }, { i: 39 }, { i: 40 }, { i: 41 },
  { i: 42 }, { i: 43 }, { i: 44 }, { i: 45 }, { i: 46 }, { i: 47 },
  { i: 48 }, { i: 49 }, { i: 50 }, { i: 51 }, { i: 52 }, { i: 53 },
  { i: 54 }, { i: 55 }, { i: 56 }, { i: 57 }, { i: 58 }, { i: 59 },
  { i: 60 }, { i: 61 }, { i: 62 }, { i: 63 }, { i: 64 }, { i: 65 },
  { i: 66 }, { i: 67 }, { i: 68 }, { i: 69 }, { i: 70 }, { i: 71 },
  { i: 72 }, { i: 73 }, { i: 74 }, { i: 75 }, { i: 76 }, { i: 77 },
  { i: 78 }, { i: 79 }, { i: 80 }, { i: 81 }, { i: 82 }, { i: 83 },
  { i: 84 }, { i: 85 }, { i: 86 }, { i: 87 }, { i: 88 }, { i: 89 },
  { i: 90 }, { i: 91 }, { i: 92 }, { i: 93 }, { i: 94 }, { i: 95 },
  { i: 96 }, { i: 97 }, { i: 98 }, { i: 99 },
  ... 20 more items
]`, Array.from({length:120},(_, i)=>({i})));
prints(`{
  a: 1n,
  b: [
    1n, 2n, 3n, 4n,
    5n, 6n, 7n, 8n
  ]
}`, ({a:1n,b:[1n,2n,3n,4n,5n,6n,7n,8n]}));
prints(`[
  0,   'a', 2,   'a', 4,   'a', 6,
  'a', 8,   'a', 10,  'a', 12,  'a',
  14,  'a', 16,  'a', 18,  'a'
]`, Array.from({length:20},(_, i)=>i%2?'a':i));
prints(`[
  [ 'a', 'b' ],
  [ 'c', 'd' ],
  [ 'e', 'f' ],
  [ 'g', 'h' ],
  [ 'i', 'j' ],
  [ 'k', 'l' ],
  [ 'm', 'n' ]
]`, [['a','b'],['c','d'],['e','f'],['g','h'],['i','j'],['k','l'],['m','n']]);
prints(`[ <3 empty items>, a: 1 ]`, Object.assign(new Array(3),{a:1}));
prints(`[ 1.5, -2, 3e+21, 1e-7 ]`, [1.5,-2,3e21,1e-7]);
prints(`{ f: [Function: f], g: [class g], h: [AsyncFunction: h] }`, ({f:function(){},g:class{},h:async()=>{}}));
prints(`Map(1) { { a: 1, b: { c: [Object] } } => { x: { y: [Object] } } }`, new Map([[{a:1,b:{c:{d:1}}},{x:{y:{z:1}}}]]));
prints(`[Object: null prototype] { a: 1 }`, Object.assign(Object.create(null),{a:1}));
prints(`{ x: [Object: null prototype] { a: {} } }`, ({x:Object.create(null,{a:{value:{},enumerable:true}})}));

// Errors, with a stack that does not change
const withStack = (error, stack) => Object.defineProperty(error, 'stack', { value: stack, configurable: true, writable: true });
prints(`Error: x
    at main (script:1:2)`, withStack(new Error('x'), 'Error: x\n    at main (script:1:2)'));
prints(`Error: x
    at main (script:1:2) {
  code: 1,
  detail: { a: [] }
}`, Object.assign(withStack(new Error('x'), 'Error: x\n    at main (script:1:2)'), { code: 1, detail: { a: [] } }));
prints(`{
  nested: TypeError: q
      at main (script:1:2)
}`, { nested: withStack(new TypeError('q'), 'TypeError: q\n    at main (script:1:2)') });
prints(`[
  Error: x
      at a (script:1:2)
      at b (script:2:2) {
    [cause]: 'why'
  }
]`, [withStack(new Error('x', { cause: 'why' }), 'Error: x\n    at a (script:1:2)\n    at b (script:2:2)')]);
prints(`AggregateError: many
    at main (script:1:2) {
  [errors]: [ 1, 'two' ]
}`, withStack(new AggregateError([1, 'two'], 'many'), 'AggregateError: many\n    at main (script:1:2)'));
prints(`ValidationError: hi
    at main (script:1:2)`, withStack(new (class ValidationError extends Error {})('hi'), 'Error: hi\n    at main (script:1:2)'));
prints(`Odd [Error]: hi
    at main (script:1:2)`, withStack(new (class Odd extends Error {})('hi'), 'Error: hi\n    at main (script:1:2)'));
prints(`[Error: no frames]`, withStack(new Error('no frames'), 'Error: no frames'));
prints(`[something else]`, withStack(new Error('custom'), 'something else'));
prints(`Map(1) {
  'e' => Error: x
      at main (script:1:2)
}`, new Map([['e', withStack(new Error('x'), 'Error: x\n    at main (script:1:2)')]]));
prints(`Error: two
lines
    at main (script:1:2) {
  name: 'Named'
}`, Object.assign(withStack(new Error('two\nlines'), 'Error: two\nlines\n    at main (script:1:2)'), { name: 'Named' }));

// Format specifiers
prints(`a 1 null undefined`, '%s %s %s %s', 'a', 1, null, undefined);
prints(`Symbol(x)`, '%s', Symbol('x'));
prints(`-0`, '%s', -0);
prints(`5n`, '%s', 5n);
prints(`{ a: [Object] }`, '%s', { a: { b: 1 } });
prints(`[ 1, [Array] ]`, '%s', [1, [2]]);
prints(`class A {}`, '%s', class A {});
prints(`() => 1`, '%s', () => 1);
prints(`mine`, '%s', new (class B { toString() { return 'mine'; } })());
prints(`1970-01-01T00:00:00.000Z`, '%s', new Date(0));
prints(`[Object: null prototype] {}`, '%s', Object.create(null));
prints(`1.5 2 NaN 7n`, '%d %d %d %d', 1.5, '2', 'x', 7n);
prints(`NaN`, '%d', {});
prints(`1 2 NaN`, '%i %i %i', 1.9, '2.9px', 'x');
prints(`1.5 NaN`, '%f %f', '1.50', 'x');
prints(`{"a":[1,"b"]}`, '%j', { a: [1, 'b'] });
prints(`[Circular]`, '%j', (() => { const a = {}; a.a = a; return a; })());
prints(`undefined`, '%j', undefined);
prints(`[ 1, { a: 2 }, [length]: 2 ]`, '%o', [1, { a: 2 }]);
prints(`{ a: { b: { c: [Object] } } }`, '%O', { a: { b: { c: { d: 1 } } } });
prints(` styled`, '%c styled', 'color: red');
prints(`100% x`, '100%', 'x');
prints(`% a`, '%% %s', 'a');
prints(`a %`, '%s %%', 'a');
prints(`%x a`, '%x %s', 'a');
prints(`%s`, '%s');
prints(`a b { c: 1 }`, '%s', 'a', 'b', { c: 1 });
prints(`a b 1 { a: 1 }`, 'a', 'b', 1, { a: 1 });
prints(`1 a %s 2`, 1, 'a %s', 2);
prints(``, '');
prints(`a
b`, 'a\nb');
prints(`{} []`, {}, []);
prints(`NaN`, '%d', Symbol('x'));
prints(`aaa -0 [ -0 ]`, '%s', 'a'.repeat(3), -0, [-0]);

// Classes of the platform
prints("URLSearchParams { 'a' => '1', 'b' => '2' }", new URLSearchParams('a=1&b=2'));
prints("Headers { a: '1', 'x-y': '2' }", new Headers({ a: 1, 'X-Y': 2 }));
prints("FormData { k: 'v' }", (() => { const form = new FormData(); form.append('k', 'v'); return form; })());
prints("Blob { size: 2, type: 'a/b' }", new Blob(['ab'], { type: 'a/b' }));
prints('AbortSignal { aborted: false }', new AbortController().signal);

// Levels
for (const [method, level] of [['log', 'info'], ['info', 'info'], ['warn', 'warn'], ['error', 'error'], ['debug', 'debug'], ['dirxml', 'info']]) {
  logged(level, 'method ' + method);
  console[method]('method %s', method);
}
logged('info', '');
console.log();

// Groups
logged('info', 'outer');
console.group('outer');
logged('warn', '  one\n  two');
console.warn('one\ntwo');
logged('info', '  inner');
console.groupCollapsed('inner');
logged('info', '    {}');
console.log({});
console.groupEnd();
console.group();
logged('info', '    deep');
console.log('deep');
console.groupEnd();
console.groupEnd();
console.groupEnd();
logged('info', 'out');
console.log('out');

// Counting, asserting, timing
for (const [call, level, message] of [
  [() => console.count(), 'info', 'default: 1'],
  [() => console.count(), 'info', 'default: 2'],
  [() => console.count('a'), 'info', 'a: 1'],
  [() => console.count(5), 'info', '5: 1'],
  [() => console.countReset('none'), 'warn', "Count for 'none' does not exist"],
  [() => console.assert(false), 'error', 'Assertion failed'],
  [() => console.assert(0, 'why %d', 5, 'x'), 'error', 'Assertion failed: why 5 x'],
  [() => console.assert(null, { a: 1 }), 'error', 'Assertion failed { a: 1 }'],
  [() => console.timeEnd('none'), 'warn', "No such label 'none' for console.timeEnd()"],
  [() => console.timeLog('none'), 'warn', "No such label 'none' for console.timeLog()"],
]) {
  logged(level, message);
  call();
}
console.countReset();
logged('info', 'default: 1');
console.count();
console.assert(true, 'never');
console.time('t');
logged('warn', "Label 't' already exists for console.time()");
console.time('t');
logged('info', between('t: ', 'ms'));
console.timeEnd('t');
logged('info', between('Trace: here\n    at ', ''));
console.trace('here');

// dir and table
logged('info', '{ a: [Object] }');
console.dir({ a: { b: 1 } }, { depth: 0 });
logged('info', '{\n  a: {\n    b: { c: { d: { e: 1 } } }\n  }\n}');
console.dir({ a: { b: { c: { d: { e: 1 } } } } }, { depth: null });
const table = (drawing, ...args) => { logged('info', drawing); console.table(...args); };
table('┌─────────┬───┬─────┐\n│ (index) │ a │ b   │\n├─────────┼───┼─────┤\n│ 0       │ 1 │ \'x\' │\n│ 1       │ 2 │     │\n└─────────┴───┴─────┘', [{ a: 1, b: 'x' }, { a: 2 }]);
table('┌─────────┬───┐\n│ (index) │ b │\n├─────────┼───┤\n│ 0       │ 2 │\n└─────────┴───┘', [{ a: 1, b: 2 }], ['b']);
table('┌─────────┬────────┐\n│ (index) │ Values │\n├─────────┼────────┤\n│ 0       │ 1      │\n│ 1       │ \'x\'    │\n└─────────┴────────┘', [1, 'x']);
table('┌───────────────────┬─────┬────────┐\n│ (iteration index) │ Key │ Values │\n├───────────────────┼─────┼────────┤\n│ 0                 │ \'a\' │ 1      │\n└───────────────────┴─────┴────────┘', new Map([['a', 1]]));
table('┌───────────────────┬────────┐\n│ (iteration index) │ Values │\n├───────────────────┼────────┤\n│ 0                 │ 5      │\n└───────────────────┴────────┘', new Set([5]));
table('text', 'text');

// Renderings of the script's own
const CUSTOM = Symbol.for('nodejs.util.inspect.custom');
prints('<mine 2>', { [CUSTOM](depth) { return '<mine ' + depth + '>'; } });
prints('{ a: <mine> }', { a: { [CUSTOM]: () => '<mine>' } });
prints("{ as: 'other' }", { [CUSTOM]: () => ({ as: 'other' }) });
prints('{ inside: Map(0) {} }', { [CUSTOM]: (depth, options, inspect) => inspect({ inside: new Map() }, options) });

// Nothing grows without end
const wide = {};
for (let i = 0; i < 100_000; i += 1) wide['key' + i] = i;
logged('info', between('{\n  key0: 0,', ' more properties\n}'));
console.log(wide);
prints(between('[\n  1, 1,', '... 9900 more items\n]'), new Array(10_000).fill(1));
prints(between("[\n  'aaa", "aaa'... 1 more character\n]"), ['a'.repeat(10_001)]);
prints('[ <4294967295 empty items> ]', new Array(4294967295));
prints('[ <5 empty items>, 1, <4294967289 empty items> ]', (() => { const a = new Array(4294967295); a[5] = 1; return a; })());
