// Network adapter of axios: uses the captured fetch op, with requests marked as the SDK's.
//
// The supervisor sends such requests only to the API base URL, with the workspace's token. The SDK's credentials are a
// placeholder and are omitted.

import {
  DateNow, Promise, ReflectApply, ReflectOwnKeys, StringPrototypeSlice, StringPrototypeStartsWith, StringPrototypeToLowerCase,
  StringPrototypeToUpperCase, TypeError, Uint8Array, newList,
} from '../primordials.js';
import { headerValue } from '../fetch/headers.js';
import { utf8Decode, utf8Encode } from '../web/encoding.js';
import { bytesOf, isBufferSource } from '../web/idl.js';
import { MAX_RETRIES, backoffMs, isRetryable, retryAfterMs } from './retry.js';

/**
 * Maximum length of an error body that the message repeats, in characters. A body is never truncated, because that could
 * truncate a secret.
 */
const MAX_BODY_CHARACTERS = 1_000;
const CREDENTIALS = { __proto__: null, 'x-api-key': true, authorization: true };

/** Converts `AxiosHeaders` or a plain object to a flat list. */
function flatHeaders(headers) {
  const flat = newList();
  const plain = typeof headers?.toJSON === 'function' ? headers.toJSON() : headers ?? {};
  const names = ReflectOwnKeys(plain);
  for (let i = 0; i < names.length; i += 1) {
    const name = StringPrototypeToLowerCase(`${names[i]}`);
    const value = plain[names[i]];
    if (CREDENTIALS[name] || value === null || value === undefined || value === false) continue;
    flat[flat.length] = name;
    flat[flat.length] = `${value}`;
  }
  return flat;
}

/** Converts the data transformed by axios to `{ bytes, text }`. */
function toBody(data) {
  if (data === undefined || data === null) return { __proto__: null, bytes: null, text: '' };
  if (typeof data === 'string') return { __proto__: null, bytes: utf8Encode(data), text: data };
  if (isBufferSource(data)) {
    const bytes = bytesOf(data, 'Plane');
    return { __proto__: null, bytes, text: utf8Decode(bytes) };
  }
  throw new TypeError('Plane: the data must be something JSON can hold.');
}

export function createAdapter({ axios, ops, send, after, run }) {
  const { AxiosError, AxiosHeaders } = axios;

  function random() {
    const byte = new Uint8Array(1);
    ops.randomBytes(byte);
    return byte[0] / 255;
  }

  /** Returns the delay until the next try in milliseconds, or `undefined` if there is none. */
  function retryDelay(method, answer, retries) {
    if (retries >= MAX_RETRIES || !isRetryable(method, answer.status)) return undefined;
    const delay = retryAfterMs(headerValue(answer.headers, 'retry-after'), DateNow()) ?? backoffMs(retries, random());
    return ops.now() + delay < run.deadline ? delay : undefined;
  }

  function toResponse(answer, config) {
    const headers = new AxiosHeaders();
    for (let i = 0; i < answer.headers.length; i += 2) {
      const name = answer.headers[i];
      headers.set(name, name === 'set-cookie' ? [answer.headers[i + 1]] : answer.headers[i + 1]);
    }
    const data = answer.body === null ? '' : utf8Decode(new Uint8Array(answer.body));
    return { data, status: answer.status, statusText: answer.statusText, headers, config };
  }

  /** Makes the message of a failed call, which authors see if the script does not catch the error. */
  function failure(response, config, method, url) {
    const { length } = response.data;
    const shown = length > MAX_BODY_CHARACTERS ? `${length} characters` : response.data;
    // The message has only the path, because the base URL is internal to the installation.
    const path = StringPrototypeStartsWith(url, run.baseUrl) ? StringPrototypeSlice(url, run.baseUrl.length) : url;
    const message = `Request failed with status code ${response.status} (${method} ${path})${shown === '' ? '' : `: ${shown}`}`;
    const code = response.status < 500 ? AxiosError.ERR_BAD_REQUEST : AxiosError.ERR_BAD_RESPONSE;
    return new AxiosError(message, code, config, undefined, response);
  }

  /** Performs one call with retries, then calls `resolve` or `reject`. */
  function perform(config, resolve, reject) {
    const url = axios.getUri(config);
    const method = StringPrototypeToUpperCase(config.method ?? 'get');
    const headers = flatHeaders(config.headers);
    const { bytes, text } = toBody(config.data);
    headers[headers.length] = 'idempotency-key';
    headers[headers.length] = run.keyOf(method, url, text);
    let retries = 0;

    const settle = (message, answer) => {
      if (message !== undefined) {
        reject(new AxiosError(message, AxiosError.ERR_NETWORK, config, undefined));
        return;
      }
      const delay = retryDelay(method, answer, retries);
      if (delay !== undefined) {
        retries += 1;
        after(delay, attempt);
        return;
      }
      const response = toResponse(answer, config);
      if (!config.validateStatus || config.validateStatus(response.status)) resolve(response);
      else reject(failure(response, config, method, url));
    };
    // Also called from timers and from Rust. An exception fails the call, not the run.
    const guarded = (work) => (...args) => {
      try {
        ReflectApply(work, undefined, args);
      } catch (error) {
        reject(error);
      }
    };
    const settleGuarded = guarded(settle);
    const attempt = guarded(() => {
      send({ __proto__: null, method, url, headers, body: bytes, redirect: 'follow', plane: true }, settleGuarded);
    });
    attempt();
  }

  return function adapter(config) {
    return new Promise((resolve, reject) => perform(config, resolve, reject));
  };
}
