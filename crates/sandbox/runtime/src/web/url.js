// URL, based on the native parser. The object has the parsed parts, and every setter calls the parser again.

import { ObjectDefineProperty, StringPrototypeSlice, TypeError, dataDescriptor } from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import { isObject, requireArguments, shapeInterface, toUSVString } from './idl.js';
import { attachedParams, replaceParams } from './url_search_params.js';

let ops;
export function connectUrl(nativeOps) { ops = nativeOps; }

// Indices of the array that the native parser returns.
const HREF = 0, ORIGIN = 1, PROTOCOL = 2, USERNAME = 3, PASSWORD = 4, HOST = 5, HOSTNAME = 6, PORT = 7, PATHNAME = 8,
  SEARCH = 9, HASH = 10;

const parse = (input, base) => ops.urlParse(input, base);
export let isUrl;
/** Parses `input` to its parts, or null, for code that needs no URL object. */
export const parseUrl = (input) => parse(input, undefined);
export const URL_PART = { __proto__: null, HREF, ORIGIN, PROTOCOL, USERNAME, PASSWORD };

function invalid(input) {
  const error = new TypeError('Invalid URL');
  ObjectDefineProperty(error, 'code', dataDescriptor('ERR_INVALID_URL', true, true));
  ObjectDefineProperty(error, 'input', dataDescriptor(input, true, true));
  return error;
}

export class URL {
  #parts;
  #params = undefined;

  constructor(url, base = undefined) {
    requireArguments(arguments.length, 1, 'URL');
    const input = toUSVString(url);
    const parts = parse(input, base === undefined ? undefined : toUSVString(base));
    if (parts === null) throw invalid(input);
    this.#parts = parts;
  }

  static canParse(url, base = undefined) {
    requireArguments(arguments.length, 1, 'URL.canParse');
    return parse(toUSVString(url), base === undefined ? undefined : toUSVString(base)) !== null;
  }

  static parse(url, base = undefined) {
    requireArguments(arguments.length, 1, 'URL.parse');
    const input = toUSVString(url);
    const parts = parse(input, base === undefined ? undefined : toUSVString(base));
    if (parts === null) return null;
    const result = new URL('about:blank');
    result.#parts = parts;
    return result;
  }

  #set(part, value) {
    const parts = ops.urlSet(this.#parts[HREF], part, toUSVString(value));
    if (parts !== null) this.#parts = parts;
  }

  #refreshParams() {
    if (this.#params !== undefined) replaceParams(this.#params, StringPrototypeSlice(this.#parts[SEARCH], 1));
  }

  get href() { return this.#parts[HREF]; }
  set href(value) {
    const input = toUSVString(value);
    const parts = parse(input, undefined);
    if (parts === null) throw invalid(input);
    this.#parts = parts;
    this.#refreshParams();
  }

  get origin() { return this.#parts[ORIGIN]; }
  get protocol() { return this.#parts[PROTOCOL]; }
  set protocol(value) { this.#set('protocol', value); }
  get username() { return this.#parts[USERNAME]; }
  set username(value) { this.#set('username', value); }
  get password() { return this.#parts[PASSWORD]; }
  set password(value) { this.#set('password', value); }
  get host() { return this.#parts[HOST]; }
  set host(value) { this.#set('host', value); }
  get hostname() { return this.#parts[HOSTNAME]; }
  set hostname(value) { this.#set('hostname', value); }
  get port() { return this.#parts[PORT]; }
  set port(value) { this.#set('port', value); }
  get pathname() { return this.#parts[PATHNAME]; }
  set pathname(value) { this.#set('pathname', value); }
  get search() { return this.#parts[SEARCH]; }
  set search(value) {
    this.#set('search', value);
    this.#refreshParams();
  }

  get searchParams() {
    if (this.#params === undefined) {
      this.#params = attachedParams(StringPrototypeSlice(this.#parts[SEARCH], 1), (text) => this.#set('search', text));
    }
    return this.#params;
  }

  get hash() { return this.#parts[HASH]; }
  set hash(value) { this.#set('hash', value); }

  toString() { return this.#parts[HREF]; }
  toJSON() { return this.#parts[HREF]; }

  static { isUrl = (value) => isObject(value) && #parts in value; }
}
shapeInterface(URL, 'URL');
showAs(isUrl, (url) => {
  const { href, origin, protocol, username, password, host, hostname, port, pathname, search, searchParams, hash } = url;
  return { __proto__: null, name: 'URL', entries: list(
    'href', href, 'origin', origin, 'protocol', protocol, 'username', username, 'password', password, 'host', host,
    'hostname', hostname, 'port', port, 'pathname', pathname, 'search', search, 'searchParams', searchParams, 'hash', hash,
  ) };
});
