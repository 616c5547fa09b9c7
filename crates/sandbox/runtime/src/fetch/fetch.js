// fetch: sends the request to the supervisor as bytes and receives the complete response.

import {
  Map, MapPrototypeDelete, MapPrototypeGet, MapPrototypeSet, ObjectDefineProperty, Promise, TypeError, dataDescriptor,
} from '../primordials.js';
import { abortState, onAbort } from '../web/abort.js';
import { react } from '../web/promises.js';
import { isUsed, readAll } from './body.js';
import { Request, requestState } from './request.js';
import { networkResponse } from './response.js';

export function createFetch(ops) {
  const pending = new Map();
  let lastId = 0;

  /**
   * Sends one request. `settle` is called with `(error)` or `(undefined, answer)`, where the answer is
   * `{ status, statusText, url, redirected, headers, body }`. Returns a function that aborts the request.
   */
  function send(request, settle) {
    lastId += 1;
    const id = lastId;
    MapPrototypeSet(pending, id, settle);
    try {
      ops.fetchStart(id, request.method, request.url, request.headers, request.body, request.redirect, request.plane);
    } catch (error) {
      MapPrototypeDelete(pending, id);
      throw error;
    }
    return () => {
      if (MapPrototypeDelete(pending, id)) ops.fetchAbort(id);
    };
  }

  /** Called by Rust with the result of a request. */
  function fetchDone(id, errorMessage, status, statusText, url, redirected, headers, body) {
    const settle = MapPrototypeGet(pending, id);
    if (settle === undefined) return;
    MapPrototypeDelete(pending, id);
    if (errorMessage !== null) settle(errorMessage, undefined);
    else settle(undefined, { __proto__: null, status, statusText, url, redirected, headers, body });
  }

  function start(request, resolve, reject, failure) {
    const { url, method, redirect, headers, body, signal } = requestState(request);
    if (abortState(signal).aborted) {
      reject(abortState(signal).reason);
      return;
    }
    if (isUsed(body)) throw new TypeError('fetch: the body was already read.');
    let giveUp;
    let settled = false;
    const forget = onAbort(signal, () => {
      settled = true;
      giveUp?.();
      reject(abortState(signal).reason);
    });
    const fail = (error) => {
      if (settled) return;
      settled = true;
      forget();
      reject(error);
    };
    const answered = (message, answer) => {
      if (message !== undefined) {
        ObjectDefineProperty(failure, 'message', dataDescriptor(message));
        fail(failure);
        return;
      }
      settled = true;
      forget();
      resolve(networkResponse(answer));
    };
    const go = (bytes) => {
      if (settled) return;
      try {
        giveUp = send({ __proto__: null, method, url, headers, body: bytes, redirect, plane: false }, answered);
      } catch (error) {
        fail(error);
      }
    };
    if (body === null) go(null);
    else if (body.bytes !== undefined) {
      body.used = true;
      go(body.bytes);
    } else react(readAll(body), go, fail);
  }

  function fetch(input, init = undefined) {
    // Made now, so that the stack has the line of the call. The message is set if the request fails.
    const failure = new TypeError();
    return new Promise((resolve, reject) => {
      start(new Request(input, init), resolve, reject, failure);
    });
  }

  return { __proto__: null, fetch, fetchDone, send };
}
