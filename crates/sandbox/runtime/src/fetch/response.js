// Response of the Fetch standard.

import { JSONStringify, RangeError, StringPrototypeCharCodeAt, TypeError, Uint8Array, newList } from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import { utf8Encode } from '../web/encoding.js';
import { isObject, requireArguments, shapeInterface, toByteString, toDictionary, toUSVString } from '../web/idl.js';
import { URL_PART, parseUrl } from '../web/url.js';
import {
  bodyFromBytes, bodyReaders, cloneBody, extractBody, isLocked, isUsed, streamOf,
} from './body.js';
import { Headers, addHeader, headerList, headerValue, headersFrom } from './headers.js';

const NULL_BODY_STATUS = { __proto__: null, 101: true, 103: true, 204: true, 205: true, 304: true };
const REDIRECT_STATUS = { __proto__: null, 301: true, 302: true, 303: true, 307: true, 308: true };

function toStatus(value) {
  const status = value === undefined ? 200 : value & 0xffff;
  if (status < 200 || status > 599) throw new RangeError(`Response: the status must be from 200 to 599, not ${status}.`);
  return status;
}

/** Converts a reason phrase: tab, space and visible bytes. */
function toStatusText(value) {
  if (value === undefined) return '';
  const text = toByteString(value, 'Response');
  for (let i = 0; i < text.length; i += 1) {
    const code = StringPrototypeCharCodeAt(text, i);
    if ((code < 32 && code !== 9) || code === 127) throw new TypeError('Response: statusText has a control character.');
  }
  return text;
}

export let isResponse;
/** Makes a Response of the network's response. */
export let networkResponse;
let readers;

export class Response {
  #state;
  #headers;
  #body = null;

  constructor(body = null, init = undefined) {
    const { headers, status, statusText } = toDictionary(init, 'Response');
    this.#state = {
      __proto__: null, type: 'default', url: '', redirected: false, status: toStatus(status),
      statusText: toStatusText(statusText),
    };
    this.#headers = new Headers(headers);
    if (body !== null && body !== undefined) this.#attach(extractBody(body));
  }

  #attach(extracted) {
    if (NULL_BODY_STATUS[this.#state.status]) {
      throw new TypeError(`Response: a response with status ${this.#state.status} has no body.`);
    }
    this.#body = extracted.body;
    if (extracted.type !== null && headerValue(headerList(this.#headers), 'content-type') === null) {
      addHeader(this.#headers, 'content-type', extracted.type);
    }
  }

  static error() {
    const response = new Response();
    response.#state = { __proto__: null, type: 'error', url: '', redirected: false, status: 0, statusText: '' };
    response.#headers = headersFrom(newList(), true);
    return response;
  }

  static redirect(url, status = 302) {
    requireArguments(arguments.length, 1, 'Response.redirect');
    const text = toUSVString(url);
    const parts = parseUrl(text);
    if (parts === null) throw new TypeError(`Response.redirect: "${text}" is not a URL.`);
    const code = status & 0xffff;
    if (!REDIRECT_STATUS[code]) throw new RangeError(`Response.redirect: ${code} is not a redirect status.`);
    const response = new Response(null, { __proto__: null, status: code });
    const flat = newList();
    flat[0] = 'location';
    flat[1] = parts[URL_PART.HREF];
    response.#headers = headersFrom(flat, true);
    return response;
  }

  static json(data, init = undefined) {
    requireArguments(arguments.length, 1, 'Response.json');
    const text = JSONStringify(data);
    if (text === undefined) throw new TypeError('Response.json: the data is not JSON serializable.');
    const response = new Response(null, init);
    response.#attach({ __proto__: null, body: bodyFromBytes(utf8Encode(text)), type: 'application/json' });
    return response;
  }

  get type() { return this.#state.type; }
  get url() { return this.#state.url; }
  get redirected() { return this.#state.redirected; }
  get status() { return this.#state.status; }
  get ok() { return this.#state.status >= 200 && this.#state.status <= 299; }
  get statusText() { return this.#state.statusText; }
  get headers() { return this.#headers; }
  get body() { return streamOf(this.#body); }
  get bodyUsed() { return isUsed(this.#body); }

  arrayBuffer() { return readers.arrayBuffer(this); }
  blob() { return readers.blob(this); }
  bytes() { return readers.bytes(this); }
  formData() { return readers.formData(this); }
  json() { return readers.json(this); }
  text() { return readers.text(this); }

  clone() {
    if (isUsed(this.#body) || isLocked(this.#body)) throw new TypeError('Response.clone: Body has already been consumed.');
    const copy = new Response();
    copy.#state = this.#state;
    copy.#headers = headersFrom(headerList(this.#headers), this.#state.type !== 'default');
    copy.#body = cloneBody(this.#body);
    return copy;
  }

  static {
    isResponse = (value) => isObject(value) && #state in value;
    networkResponse = ({ status, statusText, url, redirected, headers, body }) => {
      const response = new Response();
      response.#state = { __proto__: null, type: 'basic', url, redirected, status, statusText };
      response.#headers = headersFrom(headers, true);
      if (body !== null && !NULL_BODY_STATUS[status]) response.#body = bodyFromBytes(new Uint8Array(body));
      return response;
    };
    readers = bodyReaders((response) => ({
      __proto__: null, body: response.#body, contentType: headerValue(headerList(response.#headers), 'content-type'),
    }));
  }
}
shapeInterface(Response, 'Response');
showAs(isResponse, (response) => {
  const { status, statusText, headers, bodyUsed, ok, redirected, type, url } = response;
  return { __proto__: null, name: 'Response', entries: list(
    'status', status, 'statusText', statusText, 'headers', headers, 'bodyUsed', bodyUsed, 'ok', ok,
    'redirected', redirected, 'type', type, 'url', url,
  ) };
});
