// Builds the global scope once, at snapshot time, and hands Rust the few functions it calls during a run.
//
// Invariant: `ops` and `host` live in closures only; no global, prototype or error leads to them.

import {
  ObjectDefineProperty, ReflectDeleteProperty, ReflectOwnKeys, dataDescriptor, accessorDescriptor, newList,
} from './primordials.js';
import { createConsole } from './console/console.js';
import { createDescribeError } from './console/describe.js';
import { createInspect } from './console/inspect.js';
import { createMicrotasks } from './microtasks.js';
import { createTimers } from './timers.js';

const REMOVED = ['SharedArrayBuffer', 'Atomics', 'WebAssembly'];

/** Web IDL operations on the global object are enumerable, interfaces are not. */
function defineOperations(operations) {
  const names = ReflectOwnKeys(operations);
  for (let i = 0; i < names.length; i += 1) {
    ObjectDefineProperty(globalThis, names[i], dataDescriptor(operations[names[i]], true, true));
  }
}

export function bootstrap(ops) {
  for (let i = 0; i < REMOVED.length; i += 1) ReflectDeleteProperty(globalThis, REMOVED[i]);

  const inspect = createInspect(ops);
  const timers = createTimers(ops);
  const { setTimeout, setInterval, clearTimeout, clearInterval } = timers;
  const { queueMicrotask } = createMicrotasks(ops);

  ObjectDefineProperty(globalThis, 'console', dataDescriptor(createConsole(ops, inspect)));
  defineOperations({
    __proto__: null, clearInterval, clearTimeout, queueMicrotask, setInterval, setTimeout,
  });

  /** Installs what belongs to one run and returns the second argument of `main`. */
  function start(run) {
    const { ENV, Variables, workspaceSlug, Functions } = run;
    const Plane = undefined;
    const named = { __proto__: null, Plane, Functions, ENV, Variables, workspaceSlug };
    const names = ReflectOwnKeys(named);
    const env = {};
    // The variables are `env`'s enumerable keys; the names of the destructured form stand beside them, and win.
    const variables = ReflectOwnKeys(Variables);
    for (let i = 0; i < variables.length; i += 1) {
      ObjectDefineProperty(env, variables[i], dataDescriptor(Variables[variables[i]], true, true));
    }
    for (let i = 0; i < names.length; i += 1) {
      ObjectDefineProperty(globalThis, names[i], dataDescriptor(named[names[i]]));
      ObjectDefineProperty(env, names[i], dataDescriptor(named[names[i]]));
    }
    return env;
  }

  return {
    __proto__: null,
    start,
    timerFired: timers.timerFired,
    fetchDone() {},
    describeError: createDescribeError(ops),
  };
}
