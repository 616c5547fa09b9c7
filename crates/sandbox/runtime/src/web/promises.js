// Promises of ours: made and settled with the captured constructor, whatever a script did to `Promise`.

import { ObjectDefineProperty, Promise, PromisePrototypeThen, dataDescriptor } from '../primordials.js';

/** A promise of what `work` returns or throws. */
export const promiseOf = (work) => new Promise((resolve, reject) => {
  try {
    resolve(work());
  } catch (error) {
    reject(error);
  }
});

/** `{ promise, resolve, reject }` */
export function deferred() {
  const parts = { __proto__: null, promise: undefined, resolve: undefined, reject: undefined };
  parts.promise = new Promise((resolve, reject) => {
    parts.resolve = resolve;
    parts.reject = reject;
  });
  return parts;
}

/**
 * Reactions to a promise of ours. An own `constructor` keeps `then` from asking the prototype for a species.
 */
export function react(promise, onFulfilled, onRejected) {
  ObjectDefineProperty(promise, 'constructor', dataDescriptor(undefined));
  return PromisePrototypeThen(promise, onFulfilled, onRejected);
}
