// Promises of the runtime, made and settled with the captured constructor, even if a script replaced `Promise`.

import { ObjectDefineProperty, Promise, PromisePrototypeThen, dataDescriptor } from '../primordials.js';

/** Makes a promise of the value that `work` returns or the error that it throws. */
export const promiseOf = (work) => new Promise((resolve, reject) => {
  try {
    resolve(work());
  } catch (error) {
    reject(error);
  }
});

/** Makes `{ promise, resolve, reject }`. */
export function deferred() {
  const parts = { __proto__: null, promise: undefined, resolve: undefined, reject: undefined };
  parts.promise = new Promise((resolve, reject) => {
    parts.resolve = resolve;
    parts.reject = reject;
  });
  return parts;
}

/**
 * Adds reactions to a promise of the runtime. Its own `constructor` keeps `then` from reading a species from the
 * prototype.
 */
export function react(promise, onFulfilled, onRejected) {
  ObjectDefineProperty(promise, 'constructor', dataDescriptor(undefined));
  return PromisePrototypeThen(promise, onFulfilled, onRejected);
}
