// `Plane`: the SDK's client with the adapter of the runtime.
//
// Evaluated when the snapshot is made, after the globals that axios needs. This npm code cannot be hardened. It has no
// secrets, and the supervisor checks every request.

import { ObjectDefineProperty, PromisePrototypeThen, ReflectApply, accessorDescriptor, dataDescriptor } from '../primordials.js';
import { createAdapter } from './adapter.js';
import { createIdempotencyKeys } from './idempotency.js';

/** Time reserved for the script after the last retry, in milliseconds. */
const RESERVE_MS = 250;
const PLACEHOLDER = 'kept by the worker';
const VERBS = ['get', 'post', 'put', 'patch', 'httpDelete'];

/** Returns `createClient(run)`. The adapter gets the run's settings through one object. */
export function loadPlane(ops, send, after) {
  const axios = require('axios');
  const { BaseResource, HttpError, PlaneClient } = require('@makeplane/plane-node-sdk');
  const run = { __proto__: null, baseUrl: '', deadline: 0, keyOf: undefined };
  axios.defaults.adapter = createAdapter({ axios, ops, send, after, run });
  addCallerStack(BaseResource, HttpError);
  // Names of the properties in other HTTP clients.
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
 * Adds the caller's stack to the SDK's errors. The SDK creates them after the response, when the script's frames are no
 * longer on the stack. So an error is created with each call and gets the properties of the SDK's error.
 */
function addCallerStack(BaseResource, HttpError) {
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
