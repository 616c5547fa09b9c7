// Headers of the Fetch standard. The supervisor decides which headers may be sent.

import {
  ArrayPrototypeSort, StringPrototypeCharCodeAt, StringPrototypeSlice, StringPrototypeToLowerCase,
  SymbolIterator, TypeError, newList,
} from '../primordials.js';
import { showAs } from '../console/web_fields.js';
import {
  hasIterator, isObject, requireArguments, shapeInterface, toArray, toByteString, toRecord, toSequence,
} from '../web/idl.js';
import { makeIterable } from '../web/iterators.js';

/** Characters of a token besides letters and digits (RFC 9110). */
const TOKEN_MARKS = "!#$%&'*+-.^_`|~";
const tokenCodes = { __proto__: null };
for (let i = 0; i < TOKEN_MARKS.length; i += 1) tokenCodes[StringPrototypeCharCodeAt(TOKEN_MARKS, i)] = true;

export function isToken(text) {
  if (text === '') return false;
  for (let i = 0; i < text.length; i += 1) {
    const code = StringPrototypeCharCodeAt(text, i);
    const isAlphanumeric = (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122);
    if (!isAlphanumeric && !tokenCodes[code]) return false;
  }
  return true;
}

const isSpace = (code) => code === 9 || code === 10 || code === 13 || code === 32;

/** Trims white space around a value. */
function normalizeValue(value) {
  let start = 0;
  let end = value.length;
  while (start < end && isSpace(StringPrototypeCharCodeAt(value, start))) start += 1;
  while (end > start && isSpace(StringPrototypeCharCodeAt(value, end - 1))) end -= 1;
  return StringPrototypeSlice(value, start, end);
}

function toName(name, what) {
  const text = toByteString(name, what);
  if (!isToken(text)) throw new TypeError(`${what}: "${text}" is not a header name.`);
  return StringPrototypeToLowerCase(text);
}

function toValue(value, what) {
  const text = normalizeValue(toByteString(value, what));
  for (let i = 0; i < text.length; i += 1) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (code === 0 || code === 10 || code === 13) throw new TypeError(`${what}: the value has a NUL, CR or LF.`);
  }
  return text;
}

export let isHeaders;
/** Returns the headers as a flat list: name, value, name, value …, with names in lower case, in order of addition. */
export let headerList;
/** Adds a header without `Headers.prototype.append`, which a script may have replaced. */
export let addHeader;
/** Makes Headers of such a list. They cannot be changed if `immutable`. */
export let headersFrom;
let pairAt;

export class Headers {
  #list = newList();
  #immutable = false;
  /** Cached sorted and combined view, reset by changes. */
  #sorted = undefined;

  constructor(init = undefined) {
    if (init === undefined) return;
    if (!isObject(init)) throw new TypeError('Headers: the argument must be an object or a sequence of pairs.');
    if (isHeaders(init) && init[SymbolIterator] === iterate) {
      for (let i = 0; i < init.#list.length; i += 2) this.#push(init.#list[i], init.#list[i + 1]);
    } else if (hasIterator(init)) {
      const pairs = toSequence(init, 'Headers', (pair) => toSequence(pair, 'Headers', (item) => item));
      for (let i = 0; i < pairs.length; i += 1) {
        if (pairs[i].length !== 2) throw new TypeError('Headers: each pair must have a name and a value.');
        this.#push(toName(pairs[i][0], 'Headers'), toValue(pairs[i][1], 'Headers'));
      }
    } else {
      const record = toRecord(init, (key) => toByteString(key, 'Headers'), (value) => toByteString(value, 'Headers'));
      for (let i = 0; i < record.length; i += 2) {
        this.#push(toName(record[i], 'Headers'), toValue(record[i + 1], 'Headers'));
      }
    }
  }

  #push(name, value) {
    this.#sorted = undefined;
    this.#list[this.#list.length] = name;
    this.#list[this.#list.length] = value;
  }

  #mutable(what) {
    if (this.#immutable) throw new TypeError(`${what}: these headers are immutable.`);
  }

  #combined(name) {
    let value = null;
    for (let i = 0; i < this.#list.length; i += 2) {
      if (this.#list[i] === name) value = value === null ? this.#list[i + 1] : `${value}, ${this.#list[i + 1]}`;
    }
    return value;
  }

  #without(name) {
    const kept = newList();
    for (let i = 0; i < this.#list.length; i += 2) {
      if (this.#list[i] === name) continue;
      kept[kept.length] = this.#list[i];
      kept[kept.length] = this.#list[i + 1];
    }
    return kept;
  }

  append(name, value) {
    requireArguments(arguments.length, 2, 'Headers.append');
    const key = toName(name, 'Headers.append');
    const text = toValue(value, 'Headers.append');
    this.#mutable('Headers.append');
    this.#push(key, text);
  }

  delete(name) {
    requireArguments(arguments.length, 1, 'Headers.delete');
    const key = toName(name, 'Headers.delete');
    this.#mutable('Headers.delete');
    this.#list = this.#without(key);
    this.#sorted = undefined;
  }

  get(name) {
    requireArguments(arguments.length, 1, 'Headers.get');
    return this.#combined(toName(name, 'Headers.get'));
  }

  getSetCookie() {
    const found = newList();
    for (let i = 0; i < this.#list.length; i += 2) {
      if (this.#list[i] === 'set-cookie') found[found.length] = this.#list[i + 1];
    }
    return toArray(found);
  }

  has(name) {
    requireArguments(arguments.length, 1, 'Headers.has');
    return this.#combined(toName(name, 'Headers.has')) !== null;
  }

  set(name, value) {
    requireArguments(arguments.length, 2, 'Headers.set');
    const key = toName(name, 'Headers.set');
    const text = toValue(value, 'Headers.set');
    this.#mutable('Headers.set');
    const kept = newList();
    let found = false;
    for (let i = 0; i < this.#list.length; i += 2) {
      const isKey = this.#list[i] === key;
      if (isKey && found) continue;
      kept[kept.length] = this.#list[i];
      kept[kept.length] = isKey ? text : this.#list[i + 1];
      found ||= isKey;
    }
    this.#list = kept;
    this.#sorted = undefined;
    if (!found) this.#push(key, text);
  }

  /** Returns the headers with sorted names and combined values, but with separate Set-Cookie headers. */
  #view() {
    if (this.#sorted !== undefined) return this.#sorted;
    const seen = { __proto__: null };
    const names = newList();
    for (let i = 0; i < this.#list.length; i += 2) {
      if (seen[this.#list[i]]) continue;
      seen[this.#list[i]] = true;
      names[names.length] = this.#list[i];
    }
    ArrayPrototypeSort(names);
    const view = newList();
    for (let i = 0; i < names.length; i += 1) {
      if (names[i] === 'set-cookie') {
        for (let j = 0; j < this.#list.length; j += 2) {
          if (this.#list[j] === 'set-cookie') {
            view[view.length] = 'set-cookie';
            view[view.length] = this.#list[j + 1];
          }
        }
      } else {
        view[view.length] = names[i];
        view[view.length] = this.#combined(names[i]);
      }
    }
    this.#sorted = view;
    return view;
  }

  static {
    isHeaders = (value) => isObject(value) && #list in value;
    headerList = (headers) => headers.#list;
    addHeader = (headers, name, value) => headers.#push(name, value);
    headersFrom = (flat, immutable) => {
      const headers = new Headers();
      for (let i = 0; i < flat.length; i += 2) headers.#push(StringPrototypeToLowerCase(flat[i]), flat[i + 1]);
      headers.#immutable = immutable;
      return headers;
    };
    pairAt = (headers, index) => {
      const view = headers.#view();
      const i = index * 2;
      return i < view.length ? { __proto__: null, key: view[i], value: view[i + 1] } : undefined;
    };
  }
}
shapeInterface(Headers, 'Headers');
makeIterable(Headers, 'Headers', pairAt);
const iterate = Headers.prototype[SymbolIterator];
showAs(isHeaders, (headers) => {
  const entries = newList();
  for (let i = 0; ; i += 1) {
    const pair = pairAt(headers, i);
    if (pair === undefined) return { __proto__: null, name: 'Headers', entries };
    entries[entries.length] = pair.key;
    entries[entries.length] = pair.value;
  }
});

/** Returns the combined value of one header of a flat list, or null. */
export function headerValue(flat, name) {
  let value = null;
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] === name) value = value === null ? flat[i + 1] : `${value}, ${flat[i + 1]}`;
  }
  return value;
}
