// queueMicrotask: V8's own queue, and what the callback throws is an uncaught exception of the run.

import { ReflectApply, TypeError } from './primordials.js';

export function createMicrotasks(ops) {
  /** Runs `task`; what it throws ends the run instead of reaching its caller. */
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
