// TextEncoder and TextDecoder: UTF-8, UTF-16LE and windows-1252 (the meaning of "latin1" and "ascii" on the web).

import {
  ArrayPrototypeJoin, RangeError, StringFromCharCode, StringPrototypeCharCodeAt, StringPrototypeSlice,
  StringPrototypeToLowerCase, TypeError, TypedArrayPrototypeGetByteLength, TypedArrayPrototypeGetToStringTag,
  TypedArrayPrototypeSet, Uint8Array, newList,
} from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import {
  bytesOf, concatBytes, isObject, requireArguments, shapeInterface, subBytes, toDictionary, toUSVString,
} from './idl.js';

let ops;
export function connectEncoding(nativeOps) { ops = nativeOps; }

export const utf8Encode = (text) => ops.utf8Encode(text);
/** Decodes like `Response.text()`: malformed bytes become U+FFFD, and a byte order mark is dropped. */
export const utf8Decode = (bytes) => ops.utf8Decode(bytes, false, false);
/** Decodes like `utf8Decode`, but keeps a byte order mark. */
export const utf8DecodeWithMark = (bytes) => ops.utf8Decode(bytes, false, true);

const LABELS = { __proto__: null };
const label = (encoding, labels) => {
  for (let i = 0; i < labels.length; i += 1) LABELS[labels[i]] = encoding;
};
label('utf-8', ['unicode-1-1-utf-8', 'unicode11utf8', 'unicode20utf8', 'utf-8', 'utf8', 'x-unicode20utf8']);
label('utf-16le', ['csunicode', 'iso-10646-ucs-2', 'ucs-2', 'unicode', 'unicodefeff', 'utf-16', 'utf-16le']);
label('windows-1252', [
  'ansi_x3.4-1968', 'ascii', 'cp1252', 'cp819', 'csisolatin1', 'ibm819', 'iso-8859-1', 'iso-ir-100', 'iso8859-1',
  'iso88591', 'iso_8859-1', 'iso_8859-1:1987', 'l1', 'latin1', 'us-ascii', 'windows-1252', 'x-cp1252',
]);
/** Code points of the bytes 0x80 to 0x9f in windows-1252. */
const WINDOWS_1252 = '\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f'
  + '\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178';

const isSpace = (code) => code === 9 || code === 10 || code === 12 || code === 13 || code === 32;

function encodingOf(text) {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(StringPrototypeCharCodeAt(text, start))) start += 1;
  while (end > start && isSpace(StringPrototypeCharCodeAt(text, end - 1))) end -= 1;
  return LABELS[StringPrototypeToLowerCase(StringPrototypeSlice(text, start, end))];
}

let isEncoder;
export class TextEncoder {
  #brand = true;

  get encoding() { return this.#brand ? 'utf-8' : ''; }

  encode(input = '') {
    void this.#brand;
    return utf8Encode(toUSVString(input));
  }

  encodeInto(source, destination) {
    void this.#brand;
    requireArguments(arguments.length, 2, 'TextEncoder.encodeInto');
    const text = toUSVString(source);
    if (!isObject(destination) || TypedArrayPrototypeGetToStringTag(destination) !== 'Uint8Array') {
      throw new TypeError('TextEncoder.encodeInto: the destination must be a Uint8Array.');
    }
    const room = TypedArrayPrototypeGetByteLength(destination);
    let read = 0;
    let written = 0;
    while (read < text.length) {
      const code = StringPrototypeCharCodeAt(text, read);
      const isPair = code >= 0xd800 && code <= 0xdbff;
      const size = isPair ? 4 : code > 0x7ff ? 3 : code > 0x7f ? 2 : 1;
      if (written + size > room) break;
      read += isPair ? 2 : 1;
      written += size;
    }
    TypedArrayPrototypeSet(destination, utf8Encode(StringPrototypeSlice(text, 0, read)));
    return { read, written };
  }

  static { isEncoder = (value) => #brand in value; }
}
shapeInterface(TextEncoder, 'TextEncoder');
showAs(isEncoder, () => ({ __proto__: null, name: 'TextEncoder', entries: list('encoding', 'utf-8') }));

/** Length of the longest prefix that does not end inside a UTF-8 sequence. */
function wholeUtf8(bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  for (let back = 1; back <= 3 && back <= length; back += 1) {
    const byte = bytes[length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const needed = byte >= 0xf0 && byte <= 0xf4 ? 4 : byte >= 0xe0 && byte < 0xf0 ? 3 : byte >= 0xc2 && byte < 0xe0 ? 2 : 1;
    if (needed <= back) return length;
    // An invalid second byte makes the sequence malformed immediately.
    const second = back > 1 ? bytes[length - back + 1] : 0x90;
    const bad = (byte === 0xe0 && second < 0xa0) || (byte === 0xed && second > 0x9f)
      || (byte === 0xf0 && second < 0x90) || (byte === 0xf4 && second > 0x8f && back > 1);
    return bad ? length : length - back;
  }
  return length;
}

let isDecoder;
export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  /** Bytes of an incomplete character, kept between calls with `stream`. */
  #rest = undefined;
  #started = false;

  constructor(encodingLabel = 'utf-8', options = undefined) {
    const encoding = encodingOf(`${encodingLabel}`);
    if (encoding === undefined) throw new RangeError(`TextDecoder: the encoding "${encodingLabel}" is not supported.`);
    const { fatal, ignoreBOM } = toDictionary(options, 'TextDecoder');
    this.#encoding = encoding;
    this.#fatal = !!fatal;
    this.#ignoreBOM = !!ignoreBOM;
  }

  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }

  decode(input = undefined, options = undefined) {
    void this.#encoding;
    const stream = !!toDictionary(options, 'TextDecoder.decode').stream;
    let bytes = input === undefined ? new Uint8Array(0) : bytesOf(input, 'TextDecoder.decode');
    if (this.#rest !== undefined) {
      const parts = newList();
      parts[0] = this.#rest;
      parts[1] = bytes;
      bytes = concatBytes(parts);
      this.#rest = undefined;
    }
    if (stream) {
      const whole = this.#wholeLength(bytes);
      const length = TypedArrayPrototypeGetByteLength(bytes);
      if (whole < length) {
        const rest = new Uint8Array(length - whole);
        TypedArrayPrototypeSet(rest, subBytes(bytes, whole, length));
        this.#rest = rest;
        bytes = subBytes(bytes, 0, whole);
      }
    }
    const keepMark = this.#ignoreBOM || this.#started;
    this.#started = stream && (this.#started || TypedArrayPrototypeGetByteLength(bytes) > 0);
    if (this.#encoding === 'utf-8') return ops.utf8Decode(bytes, this.#fatal, keepMark);
    if (this.#encoding === 'utf-16le') return decodeUtf16(bytes, this.#fatal, keepMark);
    return decodeWindows1252(bytes);
  }

  #wholeLength(bytes) {
    const length = TypedArrayPrototypeGetByteLength(bytes);
    if (this.#encoding === 'windows-1252') return length;
    if (this.#encoding === 'utf-8') {
      // A byte order mark must be complete to be recognised.
      const whole = wholeUtf8(bytes);
      return !this.#started && whole < 3 && length < 3 && bytes[0] === 0xef ? 0 : whole;
    }
    const even = length - (length % 2);
    const high = even >= 2 ? bytes[even - 1] : 0;
    return high >= 0xd8 && high <= 0xdb ? even - 2 : even;
  }

  static { isDecoder = (value) => #encoding in value; }
}
shapeInterface(TextDecoder, 'TextDecoder');
showAs(isDecoder, (decoder) => {
  const { encoding, fatal, ignoreBOM } = decoder;
  return { __proto__: null, name: 'TextDecoder', entries: list('encoding', encoding, 'fatal', fatal, 'ignoreBOM', ignoreBOM) };
});

function decodeUtf16(bytes, fatal, keepMark) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  const pieces = newList();
  let piece = '';
  for (let i = 0; i + 1 < length; i += 2) {
    piece += StringFromCharCode(bytes[i] | (bytes[i + 1] << 8));
    if (piece.length >= 8192) { pieces[pieces.length] = piece; piece = ''; }
  }
  const raw = ArrayPrototypeJoin(pieces, '') + piece + (length % 2 === 1 ? '\ufffd' : '');
  const text = toUSVString(raw);
  if (fatal && (text !== raw || length % 2 === 1)) throw new TypeError('TextDecoder.decode: the bytes are not utf-16le.');
  return !keepMark && StringPrototypeCharCodeAt(text, 0) === 0xfeff ? StringPrototypeSlice(text, 1) : text;
}

function decodeWindows1252(bytes) {
  const length = TypedArrayPrototypeGetByteLength(bytes);
  const pieces = newList();
  let piece = '';
  for (let i = 0; i < length; i += 1) {
    const byte = bytes[i];
    piece += byte >= 0x80 && byte <= 0x9f ? WINDOWS_1252[byte - 0x80] : StringFromCharCode(byte);
    if (piece.length >= 8192) { pieces[pieces.length] = piece; piece = ''; }
  }
  return ArrayPrototypeJoin(pieces, '') + piece;
}
