// setTimeout and setInterval of the HTML standard: ids are numbers, delays are 32-bit, and nested timers wait at least
// 4 ms from the sixth level on. Rust provides the clock and the order of timers.

import {
  Map, MapPrototypeDelete, MapPrototypeGet, MapPrototypeSet, ReflectApply, TypeError, newList,
} from './primordials.js';

const MINIMUM_NESTED_DELAY_MS = 4;
const NESTING_WITHOUT_MINIMUM = 5;

export function createTimers(ops) {
  const active = new Map();
  let lastId = 0;
  let nesting = 0;

  const schedule = (id, timer) => {
    const delay = timer.nesting > NESTING_WITHOUT_MINIMUM && timer.delay < MINIMUM_NESTED_DELAY_MS
      ? MINIMUM_NESTED_DELAY_MS
      : timer.delay;
    timer.nesting += 1;
    ops.timerStart(id, delay);
  };

  const start = (name, callback, delay, args, repeat) => {
    if (typeof callback !== 'function') {
      throw new TypeError(`${name}: the callback must be a function`);
    }
    // Web IDL `long`: modulo 2^32, so a huge delay wraps. A negative one counts as 0.
    const milliseconds = delay | 0;
    const timer = {
      __proto__: null, callback, args, repeat, nesting, delay: milliseconds < 0 ? 0 : milliseconds,
    };
    lastId += 1;
    MapPrototypeSet(active, lastId, timer);
    schedule(lastId, timer);
    return lastId;
  };

  const clear = (id) => {
    const key = id | 0;
    if (MapPrototypeDelete(active, key)) ops.timerCancel(key);
  };

  // `callback` and `delay` are declared so that `length` is the same as in browsers. V8 itself makes the array `args`.
  function setTimeout(callback, delay = 0, ...args) {
    return start('setTimeout', callback, delay, args, false);
  }
  function setInterval(callback, delay = 0, ...args) {
    return start('setInterval', callback, delay, args, true);
  }
  function clearTimeout(id = 0) { clear(id); }
  function clearInterval(id = 0) { clear(id); }

  /** Called by Rust when a timer is due. Exceptions of the callback pass through to Rust. */
  function timerFired(id) {
    const timer = MapPrototypeGet(active, id);
    if (timer === undefined) return;
    if (!timer.repeat) MapPrototypeDelete(active, id);
    nesting = timer.nesting;
    try {
      ReflectApply(timer.callback, undefined, timer.args);
    } finally {
      nesting = 0;
      if (timer.repeat && MapPrototypeGet(active, id) === timer) schedule(id, timer);
    }
  }

  /** Runs `callback` after `delay` without being visible to `clearTimeout`. */
  function after(delay, callback) {
    return start('timer', callback, delay, newList(), false);
  }

  return { __proto__: null, setTimeout, setInterval, clearTimeout, clearInterval, timerFired, after, cancel: clear };
}
