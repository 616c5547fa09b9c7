// URLSearchParams and the application/x-www-form-urlencoded format of the URL standard.

import {
  ArrayPrototypeJoin, NumberPrototypeToString, StringFromCharCode, StringPrototypeCharCodeAt, StringPrototypeIndexOf,
  StringPrototypePadStart, StringPrototypeSlice, StringPrototypeToUpperCase, TypeError, TypedArrayPrototypeGetByteLength,
  Uint8Array, newList, replaceText, splitText,
} from '../primordials.js';
import { showAs } from '../console/web_fields.js';
import { utf8DecodeWithMark, utf8Encode } from './encoding.js';
import {
  hasIterator, isObject, requireArguments, shapeInterface, subBytes, toArray, toRecord, toSequence, toUSVString,
} from './idl.js';
import { makeIterable } from './iterators.js';

const PERCENT = 37;

function hexValue(byte) {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 65 && byte <= 70) return byte - 55;
  if (byte >= 97 && byte <= 102) return byte - 87;
  return -1;
}

export function percentDecode(bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  const out = new Uint8Array(length);
  let size = 0;
  for (let i = 0; i < length; i += 1) {
    let byte = bytes[i];
    if (byte === PERCENT && i + 2 < length) {
      const high = hexValue(bytes[i + 1]);
      const low = hexValue(bytes[i + 2]);
      if (high >= 0 && low >= 0) {
        byte = (high << 4) | low;
        i += 2;
      }
    }
    out[size] = byte;
    size += 1;
  }
  return subBytes(out, 0, size);
}

const decodePart = (text) => {
  const spaced = replaceText(text, '+', ' ');
  if (StringPrototypeIndexOf(spaced, '%') === -1) return spaced;
  return utf8DecodeWithMark(percentDecode(utf8Encode(spaced)));
};

/** Parses a urlencoded text to a flat list, [name, value] alternating. */
export function parseForm(text) {
  const pairs = newList();
  const parts = splitText(text, '&');
  for (let i = 0; i < parts.length; i += 1) {
    const part = parts[i];
    if (part === '') continue;
    const at = StringPrototypeIndexOf(part, '=');
    pairs[pairs.length] = decodePart(at === -1 ? part : StringPrototypeSlice(part, 0, at));
    pairs[pairs.length] = at === -1 ? '' : decodePart(StringPrototypeSlice(part, at + 1));
  }
  return pairs;
}

const isPlain = (byte) => (byte >= 48 && byte <= 57) || (byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122)
  || byte === 42 || byte === 45 || byte === 46 || byte === 95;

function encodePart(text) {
  const bytes = utf8Encode(text);
  let out = '';
  for (let i = 0; i < TypedArrayPrototypeGetByteLength(bytes); i += 1) {
    const byte = bytes[i];
    if (byte === 32) out += '+';
    else if (isPlain(byte)) out += StringFromCharCode(byte);
    else out += `%${StringPrototypePadStart(StringPrototypeToUpperCase(NumberPrototypeToString(byte, 16)), 2, '0')}`;
  }
  return out;
}

export function serializeForm(pairs) {
  const parts = newList();
  for (let i = 0; i < pairs.length; i += 2) {
    parts[parts.length] = `${encodePart(pairs[i])}=${encodePart(pairs[i + 1])}`;
  }
  return ArrayPrototypeJoin(parts, '&');
}

/** Makes the params of a URL. `update` is called with the new query after every change. */
export let attachedParams;
export let replaceParams;
export let isSearchParams;
/** Serialises a URLSearchParams. */
export let searchParamsText;
let pairAt;
let pairsOf;

export class URLSearchParams {
  #pairs = newList();
  #update = undefined;

  constructor(init = '') {
    if (isObject(init)) {
      if (hasIterator(init)) this.#fromPairs(init);
      else this.#pairs = toRecord(init, toUSVString, toUSVString);
    } else {
      const text = toUSVString(init);
      this.#pairs = parseForm(StringPrototypeCharCodeAt(text, 0) === 63 ? StringPrototypeSlice(text, 1) : text);
    }
  }

  #fromPairs(init) {
    const what = 'URLSearchParams';
    const items = toSequence(init, what, (pair) => {
      const entry = toSequence(pair, what, toUSVString);
      if (entry.length !== 2) throw new TypeError('URLSearchParams: each pair must have a name and a value.');
      return entry;
    });
    for (let i = 0; i < items.length; i += 1) this.#push(items[i][0], items[i][1]);
  }

  #push(name, value) {
    const pairs = this.#pairs;
    pairs[pairs.length] = name;
    pairs[pairs.length] = value;
  }

  #changed() {
    if (this.#update !== undefined) this.#update(serializeForm(this.#pairs));
  }

  get size() { return this.#pairs.length / 2; }

  append(name, value) {
    requireArguments(arguments.length, 2, 'URLSearchParams.append');
    this.#push(toUSVString(name), toUSVString(value));
    this.#changed();
  }

  delete(name, value = undefined) {
    requireArguments(arguments.length, 1, 'URLSearchParams.delete');
    const key = toUSVString(name);
    const only = value === undefined ? undefined : toUSVString(value);
    const kept = newList();
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) {
      if (pairs[i] === key && (only === undefined || pairs[i + 1] === only)) continue;
      kept[kept.length] = pairs[i];
      kept[kept.length] = pairs[i + 1];
    }
    this.#pairs = kept;
    this.#changed();
  }

  get(name) {
    requireArguments(arguments.length, 1, 'URLSearchParams.get');
    const key = toUSVString(name);
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === key) return pairs[i + 1];
    return null;
  }

  getAll(name) {
    requireArguments(arguments.length, 1, 'URLSearchParams.getAll');
    const key = toUSVString(name);
    const found = newList();
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === key) found[found.length] = pairs[i + 1];
    return toArray(found);
  }

  has(name, value = undefined) {
    requireArguments(arguments.length, 1, 'URLSearchParams.has');
    const key = toUSVString(name);
    const only = value === undefined ? undefined : toUSVString(value);
    const pairs = this.#pairs;
    for (let i = 0; i < pairs.length; i += 2) {
      if (pairs[i] === key && (only === undefined || pairs[i + 1] === only)) return true;
    }
    return false;
  }

  set(name, value) {
    requireArguments(arguments.length, 2, 'URLSearchParams.set');
    const key = toUSVString(name);
    const text = toUSVString(value);
    const kept = newList();
    const pairs = this.#pairs;
    let found = false;
    for (let i = 0; i < pairs.length; i += 2) {
      const isKey = pairs[i] === key;
      if (isKey && found) continue;
      kept[kept.length] = pairs[i];
      kept[kept.length] = isKey ? text : pairs[i + 1];
      found ||= isKey;
    }
    this.#pairs = kept;
    if (!found) this.#push(key, text);
    this.#changed();
  }

  sort() {
    // Stable, by UTF-16 code units of the name. Insertion sort is fast enough for queries.
    const pairs = this.#pairs;
    for (let i = 2; i < pairs.length; i += 2) {
      const name = pairs[i];
      const value = pairs[i + 1];
      let j = i;
      for (; j >= 2 && pairs[j - 2] > name; j -= 2) {
        pairs[j] = pairs[j - 2];
        pairs[j + 1] = pairs[j - 1];
      }
      pairs[j] = name;
      pairs[j + 1] = value;
    }
    this.#changed();
  }

  toString() { return serializeForm(this.#pairs); }

  static {
    attachedParams = (query, update) => {
      const params = new URLSearchParams();
      params.#pairs = parseForm(query);
      params.#update = update;
      return params;
    };
    replaceParams = (params, query) => { params.#pairs = parseForm(query); };
    isSearchParams = (value) => isObject(value) && #pairs in value;
    searchParamsText = (params) => serializeForm(params.#pairs);
    pairAt = (params, index) => {
      const pairs = params.#pairs;
      const i = index * 2;
      return i < pairs.length ? { __proto__: null, key: pairs[i], value: pairs[i + 1] } : undefined;
    };
    pairsOf = (params) => params.#pairs;
  }
}
shapeInterface(URLSearchParams, 'URLSearchParams');
makeIterable(URLSearchParams, 'URLSearchParams', pairAt);
showAs(isSearchParams, (params) => ({
  __proto__: null, name: 'URLSearchParams', arrow: true, entries: pairsOf(params),
}));
