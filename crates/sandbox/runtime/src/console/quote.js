// Formatting of strings, numbers and property keys as source text.

import {
  BigIntPrototypeToString, NumberPrototypeToString, ObjectIs, RegExpPrototypeExec, StringPrototypeCharCodeAt,
  StringPrototypeIncludes, StringPrototypePadStart, StringPrototypeSlice, StringPrototypeToUpperCase,
  SymbolPrototypeToString, newList,
} from '../primordials.js';

const IDENTIFIER = /^[a-zA-Z_][a-zA-Z_0-9]*$/;
const NAMED_ESCAPES = { __proto__: null, 8: '\\b', 9: '\\t', 10: '\\n', 12: '\\f', 13: '\\r', 92: '\\\\' };

const isLeadSurrogate = (code) => code >= 0xd800 && code <= 0xdbff;
const isTrailSurrogate = (code) => code >= 0xdc00 && code <= 0xdfff;

const hex = (code) => NumberPrototypeToString(code, 16);

/** Returns the escape of the code unit at `index`, or `undefined` if it needs none. */
function escapeAt(text, index, code, quoteCode) {
  if (code < 0x20 || code === 0x5c || (code >= 0x7f && code <= 0x9f)) {
    return NAMED_ESCAPES[code] ?? `\\x${StringPrototypePadStart(StringPrototypeToUpperCase(hex(code)), 2, '0')}`;
  }
  if (code === quoteCode) return `\\${text[index]}`;
  if (isLeadSurrogate(code)) {
    return isTrailSurrogate(StringPrototypeCharCodeAt(text, index + 1)) ? undefined : `\\u${hex(code)}`;
  }
  if (isTrailSurrogate(code)) {
    return index > 0 && isLeadSurrogate(StringPrototypeCharCodeAt(text, index - 1)) ? undefined : `\\u${hex(code)}`;
  }
  return undefined;
}

/** Chooses a quote that needs no escape, single quotes first, like Node. */
function pickQuote(text) {
  if (!StringPrototypeIncludes(text, "'")) return "'";
  if (!StringPrototypeIncludes(text, '"')) return '"';
  if (!StringPrototypeIncludes(text, '`') && !StringPrototypeIncludes(text, '${')) return '`';
  return "'";
}

export function quote(text) {
  const mark = pickQuote(text);
  const markCode = mark === "'" ? 0x27 : 0;
  let result = mark;
  let copied = 0;
  for (let i = 0; i < text.length; i += 1) {
    const escaped = escapeAt(text, i, StringPrototypeCharCodeAt(text, i), markCode);
    if (escaped !== undefined) {
      result += StringPrototypeSlice(text, copied, i) + escaped;
      copied = i + 1;
    }
  }
  return result + StringPrototypeSlice(text, copied) + mark;
}

export const formatNumber = (value) => (ObjectIs(value, -0) ? '-0' : NumberPrototypeToString(value));
export const formatBigInt = (value) => `${BigIntPrototypeToString(value)}n`;

/** Formats a property key before the colon. */
export function formatKey(key, enumerable) {
  if (typeof key === 'symbol') return `[${SymbolPrototypeToString(key)}]`;
  if (key === '__proto__') return "['__proto__']";
  if (!enumerable) return `[${key}]`;
  return RegExpPrototypeExec(IDENTIFIER, key) === null ? quote(key) : key;
}

/** Splits after every line feed and keeps the line feeds. */
export function splitLines(text) {
  const lines = newList();
  let from = 0;
  for (let i = 0; i < text.length; i += 1) {
    if (StringPrototypeCharCodeAt(text, i) === 10) {
      lines[lines.length] = StringPrototypeSlice(text, from, i + 1);
      from = i + 1;
    }
  }
  if (from < text.length) lines[lines.length] = StringPrototypeSlice(text, from);
  return lines;
}
