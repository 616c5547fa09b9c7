const hex = (buffer) => [...new Uint8Array(buffer)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const { subtle } = crypto;

for (const [algorithm, text, expected] of [
  ['SHA-1', 'abc', 'a9993e364706816aba3e25717850c26c9cd0d89d'],
  ['SHA-256', '', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
  ['SHA-256', 'abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
  ['SHA-384', 'abc', 'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7'],
  ['SHA-512', 'abc', 'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f'],
]) test(`${algorithm} of "${text}"`, async () => equal(hex(await subtle.digest(algorithm, utf8(text))), expected));

test('digest takes objects, any case, any buffer source', async () => {
  const expected = hex(await subtle.digest('SHA-256', utf8('bc')));
  equal(hex(await subtle.digest({ name: 'sha-256' }, new DataView(utf8('abc').buffer, 1))), expected);
  assert(await subtle.digest('sha-1', new ArrayBuffer(0)) instanceof ArrayBuffer);
});
test('digest rejects', async () => {
  await rejects('NotSupportedError', subtle.digest('MD5', utf8('')));
  await rejects(TypeError, subtle.digest('SHA-256', 'text'));
  await rejects(TypeError, subtle.digest({}, utf8('')));
  await rejects(TypeError, subtle.digest('SHA-256'));
});

const hmac = (hash = 'SHA-256') => ({ name: 'HMAC', hash });
const raw = (key, usages = ['sign', 'verify'], hash = 'SHA-256') => subtle.importKey('raw', utf8(key), hmac(hash), true, usages);

for (const [hash, expected] of [
  ['SHA-1', 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79'],
  ['SHA-256', '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843'],
  ['SHA-384', 'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649'],
  ['SHA-512', '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737'],
]) {
  test(`HMAC ${hash} (RFC 2202, 4231, case 2)`, async () => {
    const key = await raw('Jefe', ['sign'], hash);
    equal(hex(await subtle.sign('HMAC', key, utf8('what do ya want for nothing?'))), expected);
  });
}
test('verify', async () => {
  const key = await raw('key');
  const signature = await subtle.sign('HMAC', key, utf8('data'));
  equal([await subtle.verify('HMAC', key, signature, utf8('data')), await subtle.verify('HMAC', key, signature, utf8('Data')),
    await subtle.verify('HMAC', key, signature.slice(1), utf8('data')), await subtle.verify({ name: 'hmac' }, key, new Uint8Array(32), utf8('data'))],
  [true, false, false, false]);
});
test('keys', async () => {
  const key = await raw('key');
  equal([key.type, key.extractable, key.algorithm, key.usages],
    ['secret', true, { name: 'HMAC', length: 24, hash: { name: 'SHA-256' } }, ['sign', 'verify']]);
  assert(key instanceof CryptoKey);
  throws(TypeError, () => new CryptoKey());
});
test('jwk goes round', async () => {
  const jwk = await subtle.exportKey('jwk', await raw('key\xff'));
  equal(jwk, { kty: 'oct', k: 'a2V5w78', alg: 'HS256', key_ops: ['sign', 'verify'], ext: true });
  const key = await subtle.importKey('jwk', jwk, hmac(), true, ['sign']);
  equal(hex(await subtle.exportKey('raw', key)), hex(utf8('key\xff')));
});
test('jwk is checked', async () => {
  const good = { kty: 'oct', k: 'a2V5' };
  for (const bad of [{ k: 'a2V5' }, { kty: 'RSA', k: 'a2V5' }, { kty: 'oct' }, { kty: 'oct', k: '*' }, { ...good, alg: 'HS512' },
    { ...good, use: 'enc' }, { ...good, key_ops: ['verify'] }, { ...good, ext: false }]) {
    await rejects('DataError', subtle.importKey('jwk', bad, hmac(), true, ['sign']), JSON.stringify(bad));
  }
});
test('importKey is checked', async () => {
  await rejects('NotSupportedError', subtle.importKey('raw', utf8('k'), 'AES-GCM', true, ['encrypt']));
  await rejects('NotSupportedError', subtle.importKey('pkcs8', utf8('k'), hmac(), true, ['sign']));
  await rejects('SyntaxError', subtle.importKey('raw', utf8('k'), hmac(), true, []));
  await rejects('SyntaxError', subtle.importKey('raw', utf8('k'), hmac(), true, ['encrypt']));
  await rejects(TypeError, subtle.importKey('raw', utf8('k'), hmac(), true, ['nope']));
  await rejects(TypeError, subtle.importKey('nope', utf8('k'), hmac(), true, ['sign']));
  await rejects('DataError', subtle.importKey('raw', utf8(''), hmac(), true, ['sign']));
  await rejects(TypeError, subtle.importKey('raw', 'text', hmac(), true, ['sign']));
  await rejects('NotSupportedError', subtle.importKey('raw', utf8('k'), hmac('MD5'), true, ['sign']));
});
test('usages are enforced', async () => {
  const signer = await raw('k', ['sign']);
  const verifier = await raw('k', ['verify']);
  await rejects('InvalidAccessError', subtle.verify('HMAC', signer, new ArrayBuffer(32), utf8('')));
  await rejects('InvalidAccessError', subtle.sign('HMAC', verifier, utf8('')));
  await rejects(TypeError, subtle.sign('HMAC', {}, utf8('')));
});
test('a key that is not extractable stays inside', async () => {
  const key = await subtle.importKey('raw', utf8('k'), hmac(), false, ['sign']);
  await rejects('InvalidAccessError', subtle.exportKey('raw', key));
});
test('generateKey', async () => {
  const key = await subtle.generateKey(hmac(), true, ['sign']);
  equal((await subtle.exportKey('raw', key)).byteLength, 64);
  equal((await subtle.exportKey('raw', await subtle.generateKey({ ...hmac('SHA-512'), length: 256 }, true, ['sign']))).byteLength, 32);
});
test('getRandomValues fills integer arrays in place', () => {
  const array = new Uint32Array(8);
  assert(crypto.getRandomValues(array) === array && array.some((value) => value !== 0));
  const part = new Uint8Array(16);
  crypto.getRandomValues(part.subarray(0, 8));
  assert(part.subarray(8).every((value) => value === 0));
  equal(crypto.getRandomValues(new BigInt64Array(1)).length, 1);
});
test('getRandomValues refuses', () => {
  throws('TypeMismatchError', () => crypto.getRandomValues(new Float64Array(1)));
  throws('TypeMismatchError', () => crypto.getRandomValues(new DataView(new ArrayBuffer(1))));
  throws('QuotaExceededError', () => crypto.getRandomValues(new Uint8Array(65_537)));
  throws(TypeError, () => crypto.getRandomValues([1]));
  equal(crypto.getRandomValues(new Uint8Array(65_536)).length, 65_536);
});
test('randomUUID is version 4 and new each time', () => {
  const all = new Set();
  for (let i = 0; i < 100; i += 1) {
    const id = crypto.randomUUID();
    assert(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id), id);
    all.add(id);
  }
  equal(all.size, 100);
});
test('nothing here is constructed', () => {
  for (const Type of [Crypto, SubtleCrypto, CryptoKey]) throws(TypeError, () => new Type());
});
