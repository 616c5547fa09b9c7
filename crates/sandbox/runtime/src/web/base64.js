// atob and btoa: the forgiving base64 of the Infra standard.

import { ArrayPrototypeJoin, StringFromCharCode, StringPrototypeCharCodeAt, newList } from '../primordials.js';
import { DOMException } from './dom_exception.js';
import { requireArguments } from './idl.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
const WHITESPACE = { __proto__: null, 9: true, 10: true, 12: true, 13: true, 32: true };
const values = { __proto__: null };
for (let i = 0; i < ALPHABET.length; i += 1) values[StringPrototypeCharCodeAt(ALPHABET, i)] = i;
const EQUALS = 61;
/** Number of characters per piece. Pieces are joined at once, so that a long text is not a rope of single characters. */
const PIECE_CHARACTERS = 8192;

const invalid = (why) => new DOMException(why, 'InvalidCharacterError');

class Pieces {
  #pieces = newList();
  #piece = '';

  add(text) {
    this.#piece += text;
    if (this.#piece.length >= PIECE_CHARACTERS) {
      this.#pieces[this.#pieces.length] = this.#piece;
      this.#piece = '';
    }
  }

  join() { return ArrayPrototypeJoin(this.#pieces, '') + this.#piece; }
}

export function btoa(data) {
  requireArguments(arguments.length, 1, 'btoa');
  const text = `${data}`;
  const out = new Pieces();
  for (let i = 0; i < text.length; i += 3) {
    const left = text.length - i;
    const a = StringPrototypeCharCodeAt(text, i);
    const b = left > 1 ? StringPrototypeCharCodeAt(text, i + 1) : 0;
    const c = left > 2 ? StringPrototypeCharCodeAt(text, i + 2) : 0;
    if ((a | b | c) > 255) throw invalid('btoa: the text has a character above 255.');
    const bits = (a << 16) | (b << 8) | c;
    out.add(
      ALPHABET[bits >> 18] + ALPHABET[(bits >> 12) & 63]
      + (left > 1 ? ALPHABET[(bits >> 6) & 63] : '=') + (left > 2 ? ALPHABET[bits & 63] : '='),
    );
  }
  return out.join();
}

export function atob(data) {
  requireArguments(arguments.length, 1, 'atob');
  const text = `${data}`;
  const out = new Pieces();
  let bits = 0;
  let count = 0;
  let padding = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = StringPrototypeCharCodeAt(text, i);
    if (WHITESPACE[code]) continue;
    if (code === EQUALS) { padding += 1; continue; }
    const value = values[code];
    if (value === undefined || padding > 0) throw invalid('atob: the text is not base64.');
    bits = (bits << 6) | value;
    count += 1;
    if (count % 4 === 0) {
      out.add(StringFromCharCode((bits >> 16) & 255, (bits >> 8) & 255, bits & 255));
      bits = 0;
    }
  }
  const rest = count % 4;
  // Padding is either absent or completes the last group of four.
  if (rest === 1 || padding > 2 || (padding > 0 && rest + padding !== 4)) throw invalid('atob: the text is not base64.');
  if (rest === 2) out.add(StringFromCharCode((bits >> 4) & 255));
  if (rest === 3) out.add(StringFromCharCode((bits >> 10) & 255, (bits >> 2) & 255));
  return out.join();
}
