// crypto: random values, digests and HMAC. Keys are private fields, and the computation is done in Rust.

import {
  ArrayBufferIsView, MathFloor, NumberPrototypeToString, StringFromCharCode,
  StringPrototypeCharCodeAt, StringPrototypePadStart,
  StringPrototypeToUpperCase, TypeError, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetToStringTag,
  Uint8Array, newList, replaceText,
} from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import { atob, btoa } from './base64.js';
import { DOMException } from './dom_exception.js';
import {
  bytesOf, copyBytes, isBufferSource, isObject, requireArguments, shapeInterface, toArray, toArrayBuffer,
  toSequence,
} from './idl.js';
import { promiseOf } from './promises.js';
import { makeCloneable } from './structured_clone.js';

const MAX_RANDOM_BYTES = 65_536;
/** Block sizes in bits, which are the lengths of generated HMAC keys. */
const HASHES = { __proto__: null, 'SHA-1': 512, 'SHA-256': 512, 'SHA-384': 1024, 'SHA-512': 1024 };
const INTEGER_ARRAYS = {
  __proto__: null, Int8Array: true, Uint8Array: true, Uint8ClampedArray: true, Int16Array: true, Uint16Array: true,
  Int32Array: true, Uint32Array: true, BigInt64Array: true, BigUint64Array: true,
};
const JWK_NAMES = { __proto__: null, 'SHA-1': 'HS1', 'SHA-256': 'HS256', 'SHA-384': 'HS384', 'SHA-512': 'HS512' };
const FORMATS = { __proto__: null, raw: true, jwk: true, spki: true, pkcs8: true };
const USAGES = {
  __proto__: null, encrypt: 1, decrypt: 1, sign: 1, verify: 1, deriveKey: 1, deriveBits: 1, wrapKey: 1, unwrapKey: 1,
};

const ours = {};
let ops;
export function connectCrypto(nativeOps) { ops = nativeOps; }

const notSupported = (what) => new DOMException(what, 'NotSupportedError');

function hashName(value) {
  const name = algorithmName(value);
  if (HASHES[name] === undefined) throw notSupported(`The hash "${name}" is not supported.`);
  return name;
}

function algorithmName(value) {
  const name = isObject(value) ? value.name : value;
  if (name === undefined) throw new TypeError('The algorithm has no name.');
  return StringPrototypeToUpperCase(`${name}`);
}

function requireHmac(value) {
  const name = algorithmName(value);
  if (name !== 'HMAC') throw notSupported(`The algorithm "${name}" is not supported; HMAC is.`);
}

function toUsages(value) {
  return toSequence(value, 'keyUsages', (item) => {
    const usage = `${item}`;
    if (USAGES[usage] === undefined) throw new TypeError(`keyUsages: "${usage}" is not a usage.`);
    return usage;
  });
}

function hmacUsages(value) {
  const usages = toUsages(value);
  const kept = newList();
  for (let i = 0; i < usages.length; i += 1) {
    if (usages[i] !== 'sign' && usages[i] !== 'verify') {
      throw new DOMException(`An HMAC key can't be used to ${usages[i]}.`, 'SyntaxError');
    }
    if (!includes(kept, usages[i])) kept[kept.length] = usages[i];
  }
  if (kept.length === 0) throw new DOMException('keyUsages must not be empty.', 'SyntaxError');
  return kept;
}

function includes(items, item) {
  for (let i = 0; i < items.length; i += 1) if (items[i] === item) return true;
  return false;
}

let isKey;
let keyState;
let makeKey;

export class CryptoKey {
  #state;

  constructor(token, state) {
    if (token !== ours) throw new TypeError('Illegal constructor');
    this.#state = state;
  }

  get type() { return this.#state.type; }
  get extractable() { return this.#state.extractable; }
  get algorithm() {
    const { hash, length } = this.#state;
    return { name: 'HMAC', length, hash: { name: hash } };
  }
  get usages() { return toArray(this.#state.usages); }

  static {
    isKey = (value) => isObject(value) && #state in value;
    keyState = (key) => key.#state;
    makeKey = (state) => new CryptoKey(ours, { __proto__: null, type: 'secret', ...state });
  }
}
shapeInterface(CryptoKey, 'CryptoKey');
showAs(isKey, (key) => {
  const { type, extractable, algorithm, usages } = key;
  return { __proto__: null, name: 'CryptoKey', entries: list(
    'type', type, 'extractable', extractable, 'algorithm', algorithm, 'usages', usages,
  ) };
});
makeCloneable(isKey, (key) => makeKey(keyState(key)));

const toBase64Url = (bytes) => {
  let text = '';
  for (let i = 0; i < TypedArrayPrototypeGetByteLength(bytes); i += 1) text += StringFromCharCode(bytes[i]);
  return replaceText(replaceText(replaceText(btoa(text), '+', '-'), '/', '_'), '=', '');
};

function fromBase64Url(text) {
  const decoded = atob(replaceText(replaceText(text, '-', '+'), '_', '/'));
  const bytes = new Uint8Array(decoded.length);
  for (let i = 0; i < decoded.length; i += 1) bytes[i] = StringPrototypeCharCodeAt(decoded, i);
  return bytes;
}

const dataError = (what) => new DOMException(what, 'DataError');

function keyFromJwk(jwk, hash, usages, extractable) {
  if (!isObject(jwk) || isBufferSource(jwk)) throw new TypeError('importKey: a jwk key must be an object.');
  const { kty, k, alg, use, key_ops: operations, ext } = jwk;
  if (kty !== 'oct') throw dataError('importKey: the kty of an HMAC key is "oct".');
  if (typeof k !== 'string') throw dataError('importKey: the jwk has no k.');
  if (alg !== undefined && alg !== JWK_NAMES[hash]) throw dataError(`importKey: alg is "${alg}", not "${JWK_NAMES[hash]}".`);
  if (use !== undefined && use !== 'sig') throw dataError('importKey: the use of an HMAC key is "sig".');
  if (operations !== undefined) {
    const allowed = toSequence(operations, 'importKey', (item) => `${item}`);
    for (let i = 0; i < usages.length; i += 1) {
      if (!includes(allowed, usages[i])) throw dataError(`importKey: key_ops does not name "${usages[i]}".`);
    }
  }
  if (ext === false && extractable) throw dataError('importKey: the jwk is not extractable.');
  try {
    return fromBase64Url(k);
  } catch {
    throw dataError('importKey: k is not base64url.');
  }
}

function requireUsage(key, usage) {
  if (!isKey(key)) throw new TypeError(`${usage}: the key must be a CryptoKey.`);
  if (!includes(keyState(key).usages, usage)) {
    throw new DOMException(`The key's usages don't include "${usage}".`, 'InvalidAccessError');
  }
}

export class SubtleCrypto {
  constructor(token) {
    if (token !== ours) throw new TypeError('Illegal constructor');
  }

  digest(algorithm, data) {
    return promiseOf(() => {
      requireArguments(arguments.length, 2, 'digest');
      const name = hashName(algorithm);
      return ops.digest(name, copyBytes(data, 'digest'));
    });
  }

  importKey(format, keyData, algorithm, extractable, keyUsages) {
    return promiseOf(() => {
      requireArguments(arguments.length, 5, 'importKey');
      const kind = `${format}`;
      if (FORMATS[kind] === undefined) throw new TypeError(`importKey: "${kind}" is not a key format.`);
      requireHmac(algorithm);
      const hash = hashName(algorithm.hash);
      const usages = hmacUsages(keyUsages);
      if (kind !== 'raw' && kind !== 'jwk') throw notSupported(`HMAC keys are imported as raw or jwk, not ${kind}.`);
      const bytes = kind === 'raw'
        ? copyBytes(keyData, 'importKey')
        : keyFromJwk(keyData, hash, usages, !!extractable);
      const length = TypedArrayPrototypeGetByteLength(bytes) * 8;
      if (length === 0) throw dataError('importKey: the key is empty.');
      const wanted = algorithm.length === undefined ? length : algorithm.length >>> 0;
      if (wanted > length || wanted <= length - 8) throw dataError('importKey: length does not fit the key.');
      return makeKey({ __proto__: null, bytes, hash, length: wanted, extractable: !!extractable, usages });
    });
  }

  generateKey(algorithm, extractable, keyUsages) {
    return promiseOf(() => {
      requireArguments(arguments.length, 3, 'generateKey');
      requireHmac(algorithm);
      const hash = hashName(algorithm.hash);
      const usages = hmacUsages(keyUsages);
      const length = algorithm.length === undefined ? HASHES[hash] : algorithm.length >>> 0;
      if (length === 0 || length % 8 !== 0 || length > MAX_RANDOM_BYTES * 8) {
        throw new DOMException('generateKey: the length must be a whole number of bytes.', 'OperationError');
      }
      const bytes = new Uint8Array(MathFloor(length / 8));
      ops.randomBytes(bytes);
      return makeKey({ __proto__: null, bytes, hash, length, extractable: !!extractable, usages });
    });
  }

  exportKey(format, key) {
    return promiseOf(() => {
      requireArguments(arguments.length, 2, 'exportKey');
      const kind = `${format}`;
      if (FORMATS[kind] === undefined) throw new TypeError(`exportKey: "${kind}" is not a key format.`);
      if (!isKey(key)) throw new TypeError('exportKey: the key must be a CryptoKey.');
      const { bytes, hash, extractable, usages } = keyState(key);
      if (kind !== 'raw' && kind !== 'jwk') throw notSupported(`HMAC keys are exported as raw or jwk, not ${kind}.`);
      if (!extractable) throw new DOMException('The key is not extractable.', 'InvalidAccessError');
      if (kind === 'raw') return toArrayBuffer(copyBytes(bytes));
      return { kty: 'oct', k: toBase64Url(bytes), alg: JWK_NAMES[hash], key_ops: toArray(usages), ext: extractable };
    });
  }

  sign(algorithm, key, data) {
    return promiseOf(() => {
      requireArguments(arguments.length, 3, 'sign');
      requireHmac(algorithm);
      const bytes = copyBytes(data, 'sign');
      requireUsage(key, 'sign');
      const state = keyState(key);
      return ops.hmac(state.hash, state.bytes, bytes);
    });
  }

  verify(algorithm, key, signature, data) {
    return promiseOf(() => {
      requireArguments(arguments.length, 4, 'verify');
      requireHmac(algorithm);
      const given = copyBytes(signature, 'verify');
      const bytes = copyBytes(data, 'verify');
      requireUsage(key, 'verify');
      const state = keyState(key);
      const expected = new Uint8Array(ops.hmac(state.hash, state.bytes, bytes));
      const length = TypedArrayPrototypeGetByteLength(expected);
      if (TypedArrayPrototypeGetByteLength(given) !== length) return false;
      let difference = 0;
      for (let i = 0; i < length; i += 1) difference |= expected[i] ^ given[i];
      return difference === 0;
    });
  }
}
shapeInterface(SubtleCrypto, 'SubtleCrypto');
const subtle = new SubtleCrypto(ours);

const hexOf = (bytes, from, to) => {
  let text = '';
  for (let i = from; i < to; i += 1) text += StringPrototypePadStart(NumberPrototypeToString(bytes[i], 16), 2, '0');
  return text;
};

export class Crypto {
  #subtle = subtle;

  constructor(token) {
    if (token !== ours) throw new TypeError('Illegal constructor');
  }

  get subtle() { return this.#subtle; }

  getRandomValues(array) {
    void this.#subtle;
    requireArguments(arguments.length, 1, 'getRandomValues');
    const name = ArrayBufferIsView(array) ? TypedArrayPrototypeGetToStringTag(array) : undefined;
    if (!isObject(array) || !ArrayBufferIsView(array)) throw new TypeError('getRandomValues: the argument must be a typed array.');
    if (INTEGER_ARRAYS[name] === undefined) {
      throw new DOMException('getRandomValues: the array must be one of integers.', 'TypeMismatchError');
    }
    const bytes = bytesOf(array, 'getRandomValues');
    const length = TypedArrayPrototypeGetByteLength(bytes);
    if (length > MAX_RANDOM_BYTES) {
      throw new DOMException(`getRandomValues: ${length} bytes asked, ${MAX_RANDOM_BYTES} are the most at once.`, 'QuotaExceededError');
    }
    ops.randomBytes(bytes);
    return array;
  }

  randomUUID() {
    void this.#subtle;
    const bytes = new Uint8Array(16);
    ops.randomBytes(bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    return `${hexOf(bytes, 0, 4)}-${hexOf(bytes, 4, 6)}-${hexOf(bytes, 6, 8)}-${hexOf(bytes, 8, 10)}-${hexOf(bytes, 10, 16)}`;
  }
}
shapeInterface(Crypto, 'Crypto');
export const crypto = new Crypto(ours);
