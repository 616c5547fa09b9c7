// multipart/form-data, written like browsers do and parsed by RFC 7578.

import {
  NumberPrototypeToString, StringPrototypeIndexOf, StringPrototypePadStart, StringPrototypeSlice,
  StringPrototypeToLowerCase, TypeError, TypedArrayPrototypeGetByteLength, Uint8Array, newList, replaceText, splitText,
} from '../primordials.js';
import { blobBytes, blobFrom, blobType, fileFrom, fileName, isBlob } from '../web/blob.js';
import { utf8Decode, utf8Encode } from '../web/encoding.js';
import { concatBytes, subBytes } from '../web/idl.js';
import { parseParameters, trim } from './media_type.js';

/** Converts every line ending to CRLF. */
const crlf = (text) => replaceText(replaceText(replaceText(text, '\r\n', '\n'), '\r', '\n'), '\n', '\r\n');
const escapeName = (text) => replaceText(replaceText(replaceText(text, '\n', '%0A'), '\r', '%0D'), '"', '%22');

/** Encodes the entries of a FormData as `{ bytes, boundary }`. */
export function encodeMultipart(entries, randomBytes) {
  const random = new Uint8Array(12);
  randomBytes(random);
  let boundary = '----formdata-';
  for (let i = 0; i < 12; i += 1) {
    boundary += StringPrototypePadStart(NumberPrototypeToString(random[i], 16), 2, '0');
  }
  const chunks = newList();
  const add = (chunk) => { chunks[chunks.length] = chunk; };
  for (let i = 0; i < entries.length; i += 2) {
    const value = entries[i + 1];
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${escapeName(crlf(entries[i]))}"`;
    if (isBlob(value)) {
      const type = blobType(value) === '' ? 'application/octet-stream' : blobType(value);
      add(utf8Encode(`${head}; filename="${escapeName(fileName(value))}"\r\nContent-Type: ${type}\r\n\r\n`));
      add(blobBytes(value));
      add(utf8Encode('\r\n'));
    } else {
      add(utf8Encode(`${head}\r\n\r\n${crlf(value)}\r\n`));
    }
  }
  add(utf8Encode(`--${boundary}--\r\n`));
  return { __proto__: null, bytes: concatBytes(chunks), boundary };
}

function find(bytes, pattern, from) {
  const end = TypedArrayPrototypeGetByteLength(bytes) - pattern.length;
  for (let i = from; i <= end; i += 1) {
    let j = 0;
    while (j < pattern.length && bytes[i + j] === pattern[j]) j += 1;
    if (j === pattern.length) return i;
  }
  return -1;
}

function codes(text) {
  const list = newList();
  const bytes = utf8Encode(text);
  for (let i = 0; i < TypedArrayPrototypeGetByteLength(bytes); i += 1) list[i] = bytes[i];
  return list;
}

const malformed = (why) => new TypeError(`The body is not multipart/form-data: ${why}.`);

/** Decodes the entries of a FormData, [name, value] alternating. */
export function decodeMultipart(bytes, boundary) {
  const dash = codes(`--${boundary}`);
  const separator = codes(`\r\n--${boundary}`);
  const blank = codes('\r\n\r\n');
  const entries = newList();
  let at = find(bytes, dash, 0);
  if (at === -1) throw malformed('the boundary is missing');
  at += dash.length;
  for (;;) {
    if (bytes[at] === 45 && bytes[at + 1] === 45) return entries;
    while (bytes[at] === 32 || bytes[at] === 9) at += 1;
    if (bytes[at] !== 13 || bytes[at + 1] !== 10) throw malformed('a boundary is not followed by a line end');
    // A part without headers starts with the empty line.
    const headEnd = find(bytes, blank, at);
    if (headEnd === -1) throw malformed('a part has no end of headers');
    const bodyStart = headEnd + blank.length;
    const bodyEnd = find(bytes, separator, bodyStart - 2);
    if (bodyEnd === -1) throw malformed('a part has no end');
    const head = headEnd > at ? utf8Decode(subBytes(bytes, at + 2, headEnd)) : '';
    const body = bodyEnd < bodyStart ? new Uint8Array(0) : subBytes(bytes, bodyStart, bodyEnd);
    addPart(entries, head, body);
    at = bodyEnd + separator.length;
  }
}

function addPart(entries, head, body) {
  let disposition;
  let type = 'text/plain';
  const lines = splitText(head, '\r\n');
  for (let i = 0; i < lines.length; i += 1) {
    const colon = StringPrototypeIndexOf(lines[i], ':');
    if (colon === -1) continue;
    const name = StringPrototypeToLowerCase(trim(StringPrototypeSlice(lines[i], 0, colon)));
    const value = trim(StringPrototypeSlice(lines[i], colon + 1));
    if (name === 'content-disposition') disposition = value;
    if (name === 'content-type') type = value;
  }
  if (disposition === undefined) throw malformed('a part has no Content-Disposition');
  const semicolon = StringPrototypeIndexOf(disposition, ';');
  const parameters = semicolon === -1 ? { __proto__: null } : parseParameters(disposition, semicolon);
  if (parameters.name === undefined) throw malformed('a part has no name');
  const unescape = (text) => replaceText(replaceText(replaceText(text, '%22', '"'), '%0D', '\r'), '%0A', '\n');
  entries[entries.length] = unescape(parameters.name);
  entries[entries.length] = parameters.filename === undefined
    ? utf8Decode(body)
    : fileFrom(blobFrom(concatBytes([body]), type), unescape(parameters.filename));
}
