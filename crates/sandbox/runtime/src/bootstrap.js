// Bootstrap of the global scope, run once when the snapshot is made. Returns the functions that Rust calls during a
// run.
//
// Invariant: `ops` and `host` are referenced only by closures, and by no global, prototype or error.

import {
  ObjectDefineProperty, ReflectDeleteProperty, ReflectOwnKeys, accessorDescriptor, dataDescriptor,
} from './primordials.js';
import { createConsole } from './console/console.js';
import { createDescribeError } from './console/describe.js';
import { createInspect } from './console/inspect.js';
import { connectBody } from './fetch/body.js';
import { createFetch } from './fetch/fetch.js';
import { Headers } from './fetch/headers.js';
import { Request } from './fetch/request.js';
import { Response } from './fetch/response.js';
import * as streams from './fetch/streams.js';
import { createMicrotasks } from './microtasks.js';
import { loadPlane } from './plane/client.js';
import { createRunGlobals } from './run_globals.js';
import { createTimers } from './timers.js';
import { warmUp } from './warm_up.js';
import { AbortController, AbortSignal, connectAbort } from './web/abort.js';
import { atob, btoa } from './web/base64.js';
import { Blob, File, connectBlob } from './web/blob.js';
import { Crypto, CryptoKey, SubtleCrypto, connectCrypto, crypto } from './web/crypto.js';
import { DOMException } from './web/dom_exception.js';
import { TextDecoder, TextEncoder, connectEncoding } from './web/encoding.js';
import { Event, EventTarget, connectEvents } from './web/events.js';
import { FormData } from './web/form_data.js';
import { Performance, connectPerformance, performance } from './web/performance.js';
import { createStructuredClone } from './web/structured_clone.js';
import { URL, connectUrl } from './web/url.js';
import { URLSearchParams } from './web/url_search_params.js';

const REMOVED = ['SharedArrayBuffer', 'Atomics', 'WebAssembly'];

const interfaces = {
  __proto__: null,
  AbortController, AbortSignal, Blob, Crypto, CryptoKey, DOMException, Event, EventTarget, File, FormData, Headers,
  Performance, Request, Response, SubtleCrypto, TextDecoder, TextEncoder, URL, URLSearchParams,
  ...streams.interfaces,
};

/** Defines globals. By Web IDL, operations on the global object are enumerable and interfaces are not. */
function define(members, enumerable) {
  const names = ReflectOwnKeys(members);
  for (let i = 0; i < names.length; i += 1) {
    const member = members[names[i]];
    // The bundler renames functions with the name of a global.
    if (typeof member === 'function') ObjectDefineProperty(member, 'name', dataDescriptor(names[i], false));
    ObjectDefineProperty(globalThis, names[i], dataDescriptor(member, true, enumerable));
  }
}

/** Defines a read-only attribute of the global object that scripts can replace, as specified by Web IDL. */
function defineReplaceable(name, value) {
  const { get, set } = {
    get: { [name]() { return value; } }[name],
    set: { [name](replacement) {
      ObjectDefineProperty(globalThis, name, dataDescriptor(replacement, true, true));
    } }[name],
  };
  ObjectDefineProperty(globalThis, name, accessorDescriptor(get, set, true));
}

export function bootstrap(ops) {
  for (let i = 0; i < REMOVED.length; i += 1) ReflectDeleteProperty(globalThis, REMOVED[i]);

  const inspect = createInspect(ops);
  const timers = createTimers(ops);
  const { queueMicrotask, guarded } = createMicrotasks(ops);
  const { fetch, fetchDone, send } = createFetch(ops);
  connectAbort(timers.after);
  connectBlob(streams.fromBytes);
  connectBody(ops);
  connectCrypto(ops);
  connectEncoding(ops);
  connectEvents(guarded, ops.now);
  connectPerformance(ops);
  connectUrl(ops);

  define({ __proto__: null, console: createConsole(ops, inspect), ...interfaces }, false);
  const { setTimeout, setInterval, clearTimeout, clearInterval } = timers;
  define({
    __proto__: null,
    atob, btoa, clearInterval, clearTimeout, fetch, queueMicrotask, setInterval, setTimeout,
    structuredClone: createStructuredClone(ops),
  }, true);
  defineReplaceable('crypto', crypto);
  defineReplaceable('performance', performance);

  // Responds to the SDK's requests while the snapshot is made. Undefined in runs.
  let snapshotAnswer;
  const createClient = loadPlane(ops, (request, settle) => (
    snapshotAnswer === undefined ? send(request, settle) : settle(undefined, snapshotAnswer(request))
  ), timers.after);
  const start = createRunGlobals(createClient);
  const host = {
    __proto__: null,
    start(run, globals = globalThis) {
      snapshotAnswer = undefined;
      return start(run, globals);
    },
    timerFired: timers.timerFired,
    fetchDone,
    describeError: createDescribeError(ops),
  };
  warmUp({
    globals: globalThis, host, createClient, encode: ops.utf8Encode,
    answerPlane: (answer) => { snapshotAnswer = answer; },
  });
  return host;
}
