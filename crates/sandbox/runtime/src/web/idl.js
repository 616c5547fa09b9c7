// Conversions of Web IDL, and property attributes of its interfaces.

import {
  ArrayBufferIsView, DataViewPrototypeGetBuffer, DataViewPrototypeGetByteLength,
  DataViewPrototypeGetByteOffset, ObjectDefineProperty, ReflectGetOwnPropertyDescriptor, ReflectOwnKeys,
  StringPrototypeCharCodeAt, StringPrototypeToWellFormed, SymbolIterator, SymbolToStringTag, TypeError,
  TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetByteOffset,
  TypedArrayPrototypeGetToStringTag, TypedArrayPrototypeSet, Uint8Array, dataDescriptor, newList,
  ArrayBufferPrototypeGetByteLength, ReflectApply,
} from '../primordials.js';

export const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

/** Throws if fewer than `needed` arguments are given. */
export function requireArguments(given, needed, what) {
  if (given < needed) {
    throw new TypeError(`${what}: ${needed} argument${needed === 1 ? '' : 's'} required, but only ${given} present.`);
  }
}

export const toDOMString = (value) => `${value}`;
export const toUSVString = (value) => StringPrototypeToWellFormed(`${value}`);

export function toByteString(value, what) {
  const text = `${value}`;
  for (let i = 0; i < text.length; i += 1) {
    if (StringPrototypeCharCodeAt(text, i) > 255) {
      throw new TypeError(`${what}: the character at index ${i} is above 255 and does not fit into a byte.`);
    }
  }
  return text;
}

/** Converts a dictionary argument. Undefined and null give an empty dictionary. */
export function toDictionary(value, what) {
  if (value === undefined || value === null) return { __proto__: null };
  if (!isObject(value)) throw new TypeError(`${what}: the options must be an object.`);
  return value;
}

/** Converts a `sequence<T>` by iterating over the script's iterable, as the standard requires. */
export function toSequence(value, what, convert) {
  if (!isObject(value)) throw new TypeError(`${what}: not iterable.`);
  const method = value[SymbolIterator];
  if (typeof method !== 'function') throw new TypeError(`${what}: not iterable.`);
  return drain(ReflectApply(method, value, []), what, convert);
}

/** Collects all values of an iterator in a list. */
export function drain(iterator, what, convert) {
  if (!isObject(iterator)) throw new TypeError(`${what}: not iterable.`);
  const { next } = iterator;
  const items = newList();
  for (;;) {
    const step = ReflectApply(next, iterator, []);
    if (!isObject(step)) throw new TypeError(`${what}: the iterator's step is not an object.`);
    if (step.done) return items;
    items[items.length] = convert(step.value);
  }
}

export const hasIterator = (value) => isObject(value) && value[SymbolIterator] !== undefined && value[SymbolIterator] !== null;

/** Converts a `record<K, V>`: own enumerable properties, [key, value] alternating. */
export function toRecord(value, convertKey, convertValue) {
  const flat = newList();
  const keys = ReflectOwnKeys(value);
  for (let i = 0; i < keys.length; i += 1) {
    const descriptor = ReflectGetOwnPropertyDescriptor(value, keys[i]);
    if (descriptor === undefined || !descriptor.enumerable) continue;
    const key = convertKey(keys[i]);
    flat[flat.length] = key;
    flat[flat.length] = convertValue(value[keys[i]]);
  }
  return flat;
}

/** Returns whether `value` is an ArrayBuffer, by its internal slot. */
export function isArrayBuffer(value) {
  if (!isObject(value)) return false;
  try {
    ArrayBufferPrototypeGetByteLength(value);
    return true;
  } catch {
    return false;
  }
}

export const isBufferSource = (value) => ArrayBufferIsView(value) || isArrayBuffer(value);

/** Returns a view of the bytes of a buffer source. */
export function bytesOf(source, what) {
  if (ArrayBufferIsView(source)) {
    if (TypedArrayPrototypeGetToStringTag(source) === undefined) {
      return new Uint8Array(
        DataViewPrototypeGetBuffer(source), DataViewPrototypeGetByteOffset(source), DataViewPrototypeGetByteLength(source),
      );
    }
    return new Uint8Array(
      TypedArrayPrototypeGetBuffer(source), TypedArrayPrototypeGetByteOffset(source), TypedArrayPrototypeGetByteLength(source),
    );
  }
  if (isArrayBuffer(source)) return new Uint8Array(source);
  throw new TypeError(`${what}: neither an ArrayBuffer nor a view of one.`);
}

/** Copies the bytes of a buffer source. */
export function copyBytes(source, what) {
  const bytes = bytesOf(source, what);
  const copy = new Uint8Array(TypedArrayPrototypeGetByteLength(bytes));
  TypedArrayPrototypeSet(copy, bytes);
  return copy;
}

/** Returns a view of a range of bytes. `subarray` would read `constructor` and `Symbol.species`. */
export const subBytes = (bytes, from, to) =>
  new Uint8Array(TypedArrayPrototypeGetBuffer(bytes), TypedArrayPrototypeGetByteOffset(bytes) + from, to - from);

/** Returns an ArrayBuffer with exactly these bytes: the underlying one if it has no others. */
export function toArrayBuffer(bytes) {
  const buffer = TypedArrayPrototypeGetBuffer(bytes);
  if (TypedArrayPrototypeGetByteLength(bytes) === ArrayBufferPrototypeGetByteLength(buffer)) return buffer;
  return TypedArrayPrototypeGetBuffer(copyBytes(bytes));
}

/** Joins byte arrays. */
export function concatBytes(chunks) {
  let length = 0;
  for (let i = 0; i < chunks.length; i += 1) length += TypedArrayPrototypeGetByteLength(chunks[i]);
  const whole = new Uint8Array(length);
  let at = 0;
  for (let i = 0; i < chunks.length; i += 1) {
    TypedArrayPrototypeSet(whole, chunks[i], at);
    at += TypedArrayPrototypeGetByteLength(chunks[i]);
  }
  return whole;
}

function enumerate(target, skip) {
  const keys = ReflectOwnKeys(target);
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    if (typeof key === 'symbol' || skip(key)) continue;
    const descriptor = ReflectGetOwnPropertyDescriptor(target, key);
    if (!descriptor.configurable) continue;
    ObjectDefineProperty(target, key, { __proto__: null, ...descriptor, enumerable: true });
  }
}

const notOperations = (key) => key === 'length' || key === 'name' || key === 'prototype';

/** Gives a class the property attributes of an interface: enumerable operations, a tag, and constants. */
export function shapeInterface(type, name, constants) {
  // The bundler renames classes that refer to themselves.
  ObjectDefineProperty(type, 'name', dataDescriptor(name, false));
  enumerate(type.prototype, (key) => key === 'constructor');
  enumerate(type, notOperations);
  ObjectDefineProperty(type.prototype, SymbolToStringTag, dataDescriptor(name, false));
  if (constants !== undefined) {
    const keys = ReflectOwnKeys(constants);
    for (let i = 0; i < keys.length; i += 1) {
      const constant = dataDescriptor(constants[keys[i]], false, true, false);
      ObjectDefineProperty(type, keys[i], constant);
      ObjectDefineProperty(type.prototype, keys[i], constant);
    }
  }
  return type;
}

/** Converts a list to an ordinary array, for scripts. */
export function toArray(list) {
  const array = [];
  for (let i = 0; i < list.length; i += 1) ObjectDefineProperty(array, i, dataDescriptor(list[i], true, true));
  return array;
}

