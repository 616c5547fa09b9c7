// `Plane`: the SDK's own client, with our adapter below it.
//
// Evaluated at snapshot time, after the globals that axios looks for. This is npm code and can't be hardened; it holds
// no secret, and the supervisor checks every request it makes.

import { ObjectDefineProperty, PromisePrototypeThen, ReflectApply, accessorDescriptor, dataDescriptor } from '../primordials.js';
import { createAdapter } from './adapter.js';
import { createIdempotencyKeys } from './idempotency.js';

/** Time left for the script itself when the last retry has answered. */
const RESERVE_MS = 250;
const PLACEHOLDER = 'kept by the worker';
const VERBS = ['get', 'post', 'put', 'patch', 'httpDelete'];

/** Returns `createClient(run)`; the run's settings reach the adapter through one object. */
export function loadPlane(ops, send, after) {
  const axios = require('axios');
  const { BaseResource, HttpError, PlaneClient } = require('@makeplane/plane-node-sdk');
  const run = { __proto__: null, baseUrl: '', deadline: 0, keyOf: undefined };
  axios.defaults.adapter = createAdapter({ axios, ops, send, after, run });
  nameTheCaller(BaseResource, HttpError);
  // The names other HTTP clients use.
  ObjectDefineProperty(HttpError.prototype, 'status', accessorDescriptor(function status() { return this.statusCode; }));
  ObjectDefineProperty(HttpError.prototype, 'body', accessorDescriptor(function body() { return this.response; }));

  return function createClient({ apiBaseUrl, executionId, timeoutMs }) {
    run.baseUrl = apiBaseUrl;
    run.deadline = timeoutMs - RESERVE_MS;
    run.keyOf = createIdempotencyKeys(ops, executionId);
    return new PlaneClient({ baseUrl: apiBaseUrl, apiKey: PLACEHOLDER });
  };
}

/**
 * The SDK makes its errors after the answer came, when the script's own frames are gone from the stack. So an error is
 * made when the call is, and given what the SDK's says.
 */
function nameTheCaller(BaseResource, HttpError) {
  for (let i = 0; i < VERBS.length; i += 1) {
    const verb = VERBS[i];
    const original = BaseResource.prototype[verb];
    const called = function called(...args) {
      const site = new HttpError('', 0, undefined);
      return PromisePrototypeThen(ReflectApply(original, this, args), undefined, (error) => {
        if (!(error instanceof HttpError)) throw error;
        ObjectDefineProperty(site, 'message', dataDescriptor(error.message));
        site.statusCode = error.statusCode;
        site.response = error.response;
        throw site;
      });
    };
    ObjectDefineProperty(called, 'name', dataDescriptor(verb, false));
    ObjectDefineProperty(BaseResource.prototype, verb, dataDescriptor(called));
  }
}
