// Iterators of list-like interfaces (Headers, FormData, URLSearchParams).

import {
  ObjectCreate, ObjectDefineProperty, ObjectGetPrototypeOf, ObjectSetPrototypeOf, ReflectApply, SymbolIterator, SymbolToStringTag, TypeError,
  dataDescriptor,
} from '../primordials.js';
import { requireArguments } from './idl.js';

const IteratorPrototype = ObjectGetPrototypeOf(ObjectGetPrototypeOf([][SymbolIterator]()));

/**
 * Adds `entries`, `keys`, `values`, `forEach` and `Symbol.iterator` to `type`.
 * `pairAt(instance, index)` returns `{ key, value }`, or `undefined` past the end. It throws for any other value than an
 * instance.
 */
export function makeIterable(type, name, pairAt) {
  const tag = `${name} Iterator`;
  class Position {
    #instance; #kind; #index = 0;

    constructor(instance, kind) {
      this.#instance = instance;
      this.#kind = kind;
    }

    static next(position) {
      if (typeof position !== 'object' || position === null || !(#index in position)) {
        throw new TypeError(`next: not a ${tag}`);
      }
      const pair = pairAt(position.#instance, position.#index);
      if (pair === undefined) return { value: undefined, done: true };
      position.#index += 1;
      if (position.#kind === 'keys') return { value: pair.key, done: false };
      if (position.#kind === 'values') return { value: pair.value, done: false };
      return { value: [pair.key, pair.value], done: false };
    }
  }
  const { next } = Position;
  const prototype = ObjectCreate(IteratorPrototype);
  ObjectDefineProperty(prototype, 'next', dataDescriptor({ next() { return next(this); } }.next, true, true));
  ObjectDefineProperty(prototype, SymbolToStringTag, dataDescriptor(tag, false));
  const start = (instance, kind) => {
    pairAt(instance, 0);
    const position = new Position(instance, kind);
    // The class only provides private fields. Scripts see the standard's prototype.
    return ObjectSetPrototypeOf(position, prototype);
  };
  const methods = {
    entries() { return start(this, 'entries'); },
    keys() { return start(this, 'keys'); },
    values() { return start(this, 'values'); },
    forEach(callback, thisArg = undefined) {
      pairAt(this, 0);
      requireArguments(arguments.length, 1, `${name}.forEach`);
      if (typeof callback !== 'function') throw new TypeError(`${name}.forEach: the callback must be a function.`);
      for (let i = 0; ; i += 1) {
        const pair = pairAt(this, i);
        if (pair === undefined) return;
        ReflectApply(callback, thisArg, [pair.value, pair.key, this]);
      }
    },
  };
  ObjectDefineProperty(methods.forEach, 'length', dataDescriptor(1, false));
  const names = ['entries', 'keys', 'values', 'forEach'];
  for (let i = 0; i < names.length; i += 1) {
    ObjectDefineProperty(type.prototype, names[i], dataDescriptor(methods[names[i]], true, true));
  }
  ObjectDefineProperty(type.prototype, SymbolIterator, dataDescriptor(methods.entries));
}
