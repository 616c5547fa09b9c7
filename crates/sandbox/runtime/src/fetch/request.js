// Request of the Fetch standard, as far as it applies outside of browsers.

import { StringPrototypeToUpperCase, TypeError, newList } from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import { dependentOn, isAbortSignal } from '../web/abort.js';
import { isObject, requireArguments, shapeInterface, toByteString, toDictionary, toUSVString } from '../web/idl.js';
import { URL_PART, parseUrl } from '../web/url.js';
import { bodyReaders, cloneBody, extractBody, isLocked, isUsed, streamOf, takeBody } from './body.js';
import { Headers, addHeader, headerList, headerValue, headersFrom, isHeaders, isToken } from './headers.js';

const NORMALIZED_METHODS = {
  __proto__: null, DELETE: true, GET: true, HEAD: true, OPTIONS: true, POST: true, PUT: true, PATCH: false,
};
const FORBIDDEN_METHODS = { __proto__: null, CONNECT: true, TRACE: true, TRACK: true };
const oneOf = (...values) => {
  const set = { __proto__: null };
  for (let i = 0; i < values.length; i += 1) set[values[i]] = true;
  return set;
};
const ENUMS = {
  __proto__: null,
  redirect: oneOf('follow', 'error', 'manual'),
  mode: oneOf('navigate', 'same-origin', 'no-cors', 'cors'),
  credentials: oneOf('omit', 'same-origin', 'include'),
  cache: oneOf('default', 'no-store', 'reload', 'no-cache', 'force-cache', 'only-if-cached'),
  referrerPolicy: oneOf(
    '', 'no-referrer', 'no-referrer-when-downgrade', 'same-origin', 'origin', 'strict-origin',
    'origin-when-cross-origin', 'strict-origin-when-cross-origin', 'unsafe-url',
  ),
  duplex: oneOf('half'),
};

function toMethod(value) {
  const method = toByteString(value, 'Request');
  if (!isToken(method)) throw new TypeError(`Request: "${method}" is not a method.`);
  const upper = StringPrototypeToUpperCase(method);
  if (FORBIDDEN_METHODS[upper]) throw new TypeError(`Request: the method ${upper} is not allowed.`);
  return NORMALIZED_METHODS[upper] ? upper : method;
}

function fromEnum(name, value, fallback) {
  if (value === undefined) return fallback;
  const text = `${value}`;
  if (!ENUMS[name][text]) throw new TypeError(`Request: "${text}" is not a value of ${name}.`);
  return text;
}

function toAddress(input) {
  const text = toUSVString(input);
  const parts = parseUrl(text);
  if (parts === null) throw new TypeError(`Failed to parse URL from ${text}`);
  if (parts[URL_PART.USERNAME] !== '' || parts[URL_PART.PASSWORD] !== '') {
    throw new TypeError('Request: the URL must not hold credentials.');
  }
  return parts[URL_PART.HREF];
}

export let isRequest;
/** Returns `{ url, method, headers (flat list), body, redirect, signal }` of a request. */
export let requestState;
let readers;

export class Request {
  #state;
  #headers;
  #body = null;
  #signal;

  constructor(input, init = undefined) {
    requireArguments(arguments.length, 1, 'Request');
    const from = isRequest(input) ? input : undefined;
    const old = from === undefined ? undefined : from.#state;
    const url = from === undefined ? toAddress(input) : old.url;
    const {
      body, cache, credentials, duplex, headers, integrity, keepalive, method, mode, redirect, referrer, referrerPolicy,
      signal, window,
    } = toDictionary(init, 'Request');
    if (window !== undefined && window !== null) throw new TypeError('Request: window can only be null.');
    const checkedMode = fromEnum('mode', mode, old?.mode ?? 'cors');
    if (checkedMode === 'navigate') throw new TypeError('Request: the mode can\'t be "navigate".');
    fromEnum('duplex', duplex, 'half');
    this.#state = {
      __proto__: null,
      url,
      method: method === undefined ? old?.method ?? 'GET' : toMethod(method),
      mode: checkedMode,
      redirect: fromEnum('redirect', redirect, old?.redirect ?? 'follow'),
      credentials: fromEnum('credentials', credentials, old?.credentials ?? 'same-origin'),
      cache: fromEnum('cache', cache, old?.cache ?? 'default'),
      referrer: referrer === undefined ? old?.referrer ?? 'about:client' : toUSVString(referrer),
      referrerPolicy: fromEnum('referrerPolicy', referrerPolicy, old?.referrerPolicy ?? ''),
      integrity: integrity === undefined ? old?.integrity ?? '' : `${integrity}`,
      keepalive: keepalive === undefined ? old?.keepalive ?? false : !!keepalive,
    };
    this.#headers = headers === undefined
      ? headersFrom(from === undefined ? newList() : headerList(from.#headers), false)
      : isHeaders(headers) ? headersFrom(headerList(headers), false) : new Headers(headers);
    this.#signal = requestSignal(signal === undefined ? from?.#signal : signal);
    this.#takeBody(from, body, duplex);
  }

  #takeBody(from, body, duplex) {
    const { method } = this.#state;
    const given = body !== undefined && body !== null;
    const inherited = body === undefined && from !== undefined && from.#body !== null;
    if ((given || inherited) && (method === 'GET' || method === 'HEAD')) {
      throw new TypeError('Request with GET/HEAD method cannot have body.');
    }
    if (given) {
      const extracted = extractBody(body);
      if (extracted.body.stream !== undefined && duplex === undefined) {
        throw new TypeError('RequestInit: duplex option is required when sending a body.');
      }
      this.#body = extracted.body;
      if (extracted.type !== null && headerValue(headerList(this.#headers), 'content-type') === null) {
        addHeader(this.#headers, 'content-type', extracted.type);
      }
    } else if (inherited) {
      if (isUsed(from.#body) || isLocked(from.#body)) {
        throw new TypeError('Cannot construct a Request with a Request object that has already been used.');
      }
      this.#body = takeBody(from.#body);
    }
  }

  get method() { return this.#state.method; }
  get url() { return this.#state.url; }
  get headers() { return this.#headers; }
  get destination() { return this.#state && ''; }
  get referrer() { return this.#state.referrer; }
  get referrerPolicy() { return this.#state.referrerPolicy; }
  get mode() { return this.#state.mode; }
  get credentials() { return this.#state.credentials; }
  get cache() { return this.#state.cache; }
  get redirect() { return this.#state.redirect; }
  get integrity() { return this.#state.integrity; }
  get keepalive() { return this.#state.keepalive; }
  get duplex() { return this.#state && 'half'; }
  get signal() { return this.#signal; }
  get body() { return streamOf(this.#body); }
  get bodyUsed() { return isUsed(this.#body); }

  arrayBuffer() { return readers.arrayBuffer(this); }
  blob() { return readers.blob(this); }
  bytes() { return readers.bytes(this); }
  formData() { return readers.formData(this); }
  json() { return readers.json(this); }
  text() { return readers.text(this); }

  clone() {
    if (isUsed(this.#body) || isLocked(this.#body)) throw new TypeError('Request.clone: Body has already been consumed.');
    const copy = new Request(this.#state.url, { __proto__: null });
    copy.#state = { __proto__: null, ...this.#state };
    copy.#headers = headersFrom(headerList(this.#headers), false);
    copy.#signal = requestSignal(this.#signal);
    copy.#body = cloneBody(this.#body);
    return copy;
  }

  static {
    isRequest = (value) => isObject(value) && #state in value;
    requestState = (request) => ({
      __proto__: null,
      url: request.#state.url,
      method: request.#state.method,
      redirect: request.#state.redirect,
      headers: headerList(request.#headers),
      body: request.#body,
      signal: request.#signal,
    });
    readers = bodyReaders((request) => ({
      __proto__: null, body: request.#body, contentType: headerValue(headerList(request.#headers), 'content-type'),
    }));
  }
}
shapeInterface(Request, 'Request');
showAs(isRequest, (request) => {
  const { method, url, headers, redirect, bodyUsed, signal } = request;
  return { __proto__: null, name: 'Request', entries: list(
    'method', method, 'url', url, 'headers', headers, 'redirect', redirect, 'bodyUsed', bodyUsed, 'signal', signal,
  ) };
});

/** Makes the signal of a request, which aborts with the given one. */
function requestSignal(signal) {
  if (signal === undefined || signal === null) return dependentOn(newList());
  if (!isAbortSignal(signal)) throw new TypeError('Request: signal must be an AbortSignal.');
  const only = newList();
  only[0] = signal;
  return dependentOn(only);
}
