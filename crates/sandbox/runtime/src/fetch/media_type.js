// Content types: essence and parameters, parsed by the MIME Sniffing standard.

import {
  StringPrototypeCharCodeAt, StringPrototypeIndexOf, StringPrototypeSlice, StringPrototypeToLowerCase,
} from '../primordials.js';
import { isToken } from './headers.js';

const isSpace = (code) => code === 9 || code === 10 || code === 13 || code === 32;

export function trim(text) {
  let start = 0;
  let end = text.length;
  while (start < end && isSpace(StringPrototypeCharCodeAt(text, start))) start += 1;
  while (end > start && isSpace(StringPrototypeCharCodeAt(text, end - 1))) end -= 1;
  return StringPrototypeSlice(text, start, end);
}

/** Parses a quoted string at `at` to `{ value, next }`. */
function quotedString(text, at) {
  let value = '';
  let i = at + 1;
  for (; i < text.length; i += 1) {
    if (text[i] === '"') { i += 1; break; }
    if (text[i] === '\\' && i + 1 < text.length) i += 1;
    value += text[i];
  }
  return { __proto__: null, value, next: i };
}

/** Parses the parameters after the first semicolon. Names are in lower case, and the first of each name counts. */
export function parseParameters(text, from) {
  const parameters = { __proto__: null };
  let at = from;
  while (at < text.length) {
    at += 1;
    while (at < text.length && isSpace(StringPrototypeCharCodeAt(text, at))) at += 1;
    let end = at;
    while (end < text.length && text[end] !== ';' && text[end] !== '=') end += 1;
    const name = StringPrototypeToLowerCase(trim(StringPrototypeSlice(text, at, end)));
    at = end;
    if (text[at] !== '=') continue;
    at += 1;
    let value;
    if (text[at] === '"') {
      const quoted = quotedString(text, at);
      value = quoted.value;
      at = quoted.next;
      while (at < text.length && text[at] !== ';') at += 1;
    } else {
      end = StringPrototypeIndexOf(text, ';', at);
      if (end === -1) end = text.length;
      value = trim(StringPrototypeSlice(text, at, end));
      at = end;
      if (value === '') continue;
    }
    if (name !== '' && parameters[name] === undefined) parameters[name] = value;
  }
  return parameters;
}

/** Parses a content type to `{ essence, parameters }`, or `undefined` if it is malformed. */
export function parseMediaType(text) {
  if (text === null) return undefined;
  const input = trim(text);
  const semicolon = StringPrototypeIndexOf(input, ';');
  const end = semicolon === -1 ? input.length : semicolon;
  const essence = StringPrototypeToLowerCase(trim(StringPrototypeSlice(input, 0, end)));
  const slash = StringPrototypeIndexOf(essence, '/');
  if (slash === -1) return undefined;
  if (!isToken(StringPrototypeSlice(essence, 0, slash)) || !isToken(StringPrototypeSlice(essence, slash + 1))) {
    return undefined;
  }
  return { __proto__: null, essence, parameters: parseParameters(input, end) };
}
