// AbortController and AbortSignal.

import { NumberIsFinite, TypeError, newList } from '../primordials.js';
import { list, showAs } from '../console/web_fields.js';
import { DOMException } from './dom_exception.js';
import { EventTarget, connectSignals, defineHandler, fire } from './events.js';
import { isObject, requireArguments, shapeInterface, toSequence } from './idl.js';

/** Runs a task after a delay, invisible to `clearTimeout`. Set by `connectAbort`. */
let after;
export function connectAbort(runAfter) { after = runAfter; }

const ours = {};

/** Brand check. */
export let isAbortSignal;
/** Returns `{ aborted, reason }` without accessors, which a script may have replaced. */
export let abortState;
/** Runs `algorithm` when `signal` aborts. Returns a function that unregisters it. */
export let onAbort;
/** Makes a signal that aborts with the first of a list of signals. */
export let dependentOn;
export let createSignal;
export let signalAbort;
let handlerSlot;
let link;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason = undefined;
  #algorithms = newList();
  #sources = newList();
  #dependents = newList();
  #isDependent = false;
  #handler = { __proto__: null, callback: null, listener: undefined };

  constructor(token) {
    if (token !== ours) throw new TypeError('Illegal constructor');
    super();
  }

  static abort(reason = undefined) {
    const signal = new AbortSignal(ours);
    signal.#aborted = true;
    signal.#reason = reason === undefined ? abortError() : reason;
    return signal;
  }

  static timeout(milliseconds) {
    requireArguments(arguments.length, 1, 'AbortSignal.timeout');
    const delay = +milliseconds;
    if (!NumberIsFinite(delay) || delay < 0 || delay > Number.MAX_SAFE_INTEGER) {
      throw new TypeError('AbortSignal.timeout: the delay must be a number of milliseconds from 0 to 2^53 - 1.');
    }
    const signal = new AbortSignal(ours);
    // Timers have 31 bits. A longer delay exceeds every run.
    after(delay > 0x7fffffff ? 0x7fffffff : delay, () => {
      signalAbort(signal, new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
    });
    return signal;
  }

  static any(signals) {
    requireArguments(arguments.length, 1, 'AbortSignal.any');
    const given = toSequence(signals, 'AbortSignal.any', (item) => {
      if (!isAbortSignal(item)) throw new TypeError('AbortSignal.any: every item must be an AbortSignal.');
      return item;
    });
    return dependentOn(given);
  }

  get aborted() { return this.#aborted; }
  get reason() { return this.#reason; }

  throwIfAborted() {
    if (this.#aborted) throw this.#reason;
  }

  static {
    const includes = (items, item) => {
      for (let i = 0; i < items.length; i += 1) if (items[i] === item) return true;
      return false;
    };
    link = (source, dependent) => {
      if (includes(dependent.#sources, source)) return;
      dependent.#sources[dependent.#sources.length] = source;
      source.#dependents[source.#dependents.length] = dependent;
    };
    dependentOn = (given) => {
      const result = new AbortSignal(ours);
      for (let i = 0; i < given.length; i += 1) {
        if (given[i].#aborted) {
          result.#aborted = true;
          result.#reason = given[i].#reason;
          return result;
        }
      }
      result.#isDependent = true;
      for (let i = 0; i < given.length; i += 1) {
        const source = given[i];
        if (!source.#isDependent) link(source, result);
        else for (let j = 0; j < source.#sources.length; j += 1) link(source.#sources[j], result);
      }
      return result;
    };
    isAbortSignal = (value) => isObject(value) && #aborted in value;
    abortState = (signal) => ({ __proto__: null, aborted: signal.#aborted, reason: signal.#reason });
    createSignal = () => new AbortSignal(ours);
    onAbort = (signal, algorithm) => {
      const entry = { __proto__: null, algorithm };
      signal.#algorithms[signal.#algorithms.length] = entry;
      return () => { entry.algorithm = undefined; };
    };
    signalAbort = (signal, reason) => {
      if (signal.#aborted) return;
      const because = reason === undefined ? abortError() : reason;
      signal.#aborted = true;
      signal.#reason = because;
      // Dependent signals get the reason before any listener of the script runs.
      const chain = newList();
      chain[0] = signal;
      for (let i = 0; i < signal.#dependents.length; i += 1) {
        const dependent = signal.#dependents[i];
        if (dependent.#aborted) continue;
        dependent.#aborted = true;
        dependent.#reason = because;
        chain[chain.length] = dependent;
      }
      for (let i = 0; i < chain.length; i += 1) {
        const algorithms = chain[i].#algorithms;
        chain[i].#algorithms = newList();
        for (let j = 0; j < algorithms.length; j += 1) algorithms[j].algorithm?.();
        fire(chain[i], 'abort');
      }
    };
    handlerSlot = (signal) => signal.#handler;
  }
}
shapeInterface(AbortSignal, 'AbortSignal');
defineHandler(AbortSignal, 'abort', handlerSlot);
showAs(isAbortSignal, (signal) => ({
  __proto__: null, name: 'AbortSignal', entries: list('aborted', abortState(signal).aborted),
}));

function abortError() {
  return new DOMException('This operation was aborted', 'AbortError');
}

export class AbortController {
  #signal = createSignal();

  get signal() { return this.#signal; }

  abort(reason = undefined) {
    signalAbort(this.#signal, reason);
  }
}
shapeInterface(AbortController, 'AbortController');

connectSignals(
  (signal, algorithm) => onAbort(signal, algorithm),
  (signal) => {
    if (!isAbortSignal(signal)) throw new TypeError('addEventListener: signal must be an AbortSignal.');
    return abortState(signal).aborted;
  },
);
