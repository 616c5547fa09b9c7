// queueMicrotask, based on V8's queue. An exception of the callback is an uncaught exception of the run.

import { ReflectApply, TypeError } from './primordials.js';

export function createMicrotasks(ops) {
  /** Runs `task`. An exception ends the run instead of reaching the caller. */
  function guarded(task) {
    try {
      ReflectApply(task, undefined, []);
    } catch (error) {
      ops.uncaught(error);
    }
  }

  function queueMicrotask(callback) {
    if (typeof callback !== 'function') throw new TypeError('queueMicrotask: the callback must be a function');
    ops.enqueueMicrotask(() => guarded(callback));
  }

  return { __proto__: null, queueMicrotask, guarded };
}
