// Blob and File of the File API: immutable bytes with a type.

import {
  DateNow, MathMax, MathMin, MathTrunc, NumberIsNaN, StringPrototypeCharCodeAt, StringPrototypeToLowerCase,
  TypedArrayPrototypeGetByteLength, TypeError, newList,
} from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import { utf8Decode, utf8Encode } from './encoding.js';
import {
  concatBytes, copyBytes, isBufferSource, isObject, requireArguments, shapeInterface, subBytes, toDictionary,
  toArrayBuffer, toSequence, toUSVString,
} from './idl.js';
import { promiseOf } from './promises.js';
import { makeCloneable } from './structured_clone.js';

let streamOf;
/** Sets the constructor of streams, which is npm code that is loaded after this file. */
export function connectBlob(makeStream) { streamOf = makeStream; }

/** Converts a type to lower case. Empty unless it is printable ASCII. */
function normalizeType(type) {
  const text = `${type}`;
  for (let i = 0; i < text.length; i += 1) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (code < 0x20 || code > 0x7e) return '';
  }
  return StringPrototypeToLowerCase(text);
}

const clamp = (value, size, fallback) => {
  if (value === undefined) return fallback;
  const number = +value;
  const whole = NumberIsNaN(number) ? 0 : MathTrunc(number);
  return whole < 0 ? MathMax(size + whole, 0) : MathMin(whole, size);
};

function nativeLineEndings(text) {
  let out = '';
  for (let i = 0; i < text.length; i += 1) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (code === 13) {
      out += '\n';
      if (StringPrototypeCharCodeAt(text, i + 1) === 10) i += 1;
    } else {
      out += text[i];
    }
  }
  return out;
}

export let isBlob;
/** Returns the bytes of a blob, which must be copied before a script gets them. */
export let blobBytes;
export let blobType;
/** Makes a Blob of bytes to which no other reference exists. */
export let blobFrom;

/** Marks that the bytes are set later, instead of parts. Parts would be read with an iterator that scripts can replace. */
const later = { __proto__: null };
let setBlob;

export class Blob {
  #bytes;
  #type;

  constructor(blobParts = undefined, options = undefined) {
    if (blobParts === later) return;
    const parts = blobParts === undefined ? newList() : toSequence(blobParts, 'Blob', (part) => {
      if (isBufferSource(part)) return copyBytes(part, 'Blob');
      if (isBlob(part)) return part.#bytes;
      return toUSVString(part);
    });
    const { endings = 'transparent', type = '' } = toDictionary(options, 'Blob');
    const wanted = `${endings}`;
    if (wanted !== 'transparent' && wanted !== 'native') {
      throw new TypeError(`Blob: endings must be "transparent" or "native", not "${wanted}".`);
    }
    for (let i = 0; i < parts.length; i += 1) {
      if (typeof parts[i] === 'string') {
        parts[i] = utf8Encode(wanted === 'native' ? nativeLineEndings(parts[i]) : parts[i]);
      }
    }
    this.#bytes = concatBytes(parts);
    this.#type = normalizeType(type);
  }

  get size() { return TypedArrayPrototypeGetByteLength(this.#bytes); }
  get type() { return this.#type; }

  slice(start = undefined, end = undefined, contentType = '') {
    const size = TypedArrayPrototypeGetByteLength(this.#bytes);
    const from = clamp(start, size, 0);
    const to = clamp(end, size, size);
    return blobFrom(subBytes(this.#bytes, from, MathMax(from, to)), contentType);
  }

  arrayBuffer() { return promiseOf(() => toArrayBuffer(copyBytes(this.#bytes))); }
  bytes() { return promiseOf(() => copyBytes(this.#bytes)); }
  text() { return promiseOf(() => utf8Decode(this.#bytes)); }
  stream() { return streamOf(this.#bytes); }

  static {
    isBlob = (value) => isObject(value) && #bytes in value;
    blobBytes = (blob) => blob.#bytes;
    blobType = (blob) => blob.#type;
    setBlob = (blob, bytes, type) => {
      blob.#bytes = bytes;
      blob.#type = normalizeType(type);
      return blob;
    };
    blobFrom = (bytes, type) => setBlob(new Blob(later), bytes, type);
  }
}
shapeInterface(Blob, 'Blob');

export let isFile;
export let fileName;

export class File extends Blob {
  #name;
  #lastModified;

  constructor(fileBits, name, options = undefined) {
    requireArguments(arguments.length, 2, 'File');
    super(fileBits, options);
    this.#name = toUSVString(name);
    const { lastModified } = toDictionary(options, 'File');
    const stamp = lastModified === undefined ? DateNow() : MathTrunc(+lastModified);
    this.#lastModified = NumberIsNaN(stamp) ? 0 : stamp;
  }

  get name() { return this.#name; }
  get lastModified() { return this.#lastModified; }
  get webkitRelativePath() { return this.#name === undefined ? undefined : ''; }

  static {
    isFile = (value) => isObject(value) && #name in value;
    fileName = (file) => file.#name;
  }
}
shapeInterface(File, 'File');

/** Makes a File of a blob's bytes. */
export function fileFrom(blob, name, lastModified = undefined) {
  return setBlob(new File(later, name, { __proto__: null, lastModified }), blobBytes(blob), blobType(blob));
}

showAs(isFile, (file) => {
  const { size, type, name, lastModified } = file;
  return { __proto__: null, name: 'File', entries: list('size', size, 'type', type, 'name', name, 'lastModified', lastModified) };
});
showAs(isBlob, (blob) => {
  const { size, type } = blob;
  return { __proto__: null, name: 'Blob', entries: list('size', size, 'type', type) };
});
makeCloneable(isFile, (file) => fileFrom(file, fileName(file), file.lastModified));
makeCloneable(isBlob, (blob) => blobFrom(blobBytes(blob), blobType(blob)));
