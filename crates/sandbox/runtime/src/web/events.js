// Event and EventTarget of the DOM standard without a document tree: an event path has one entry.

import {
  ObjectDefineProperty, ReflectApply, TypeError, accessorDescriptor, newList,
} from '../primordials.js';
import { DOMException } from './dom_exception.js';
import { list, showAs } from '../console/web_fields.js';
import { isObject, requireArguments, shapeInterface, toArray, toDictionary, toDOMString } from './idl.js';

const NONE = 0;
const AT_TARGET = 2;

/** Reports the exceptions of listeners. Set by `connectEvents`. */
let report;
let clock = () => 0;
export function connectEvents(reportUncaught, now) {
  report = reportUncaught;
  clock = now;
}

/** Runs the listeners of `target` for `event`. Returns true unless the event was cancelled. */
export let dispatch;
export let isEvent;
let eventState;

export class Event {
  #state;

  constructor(type, options = undefined) {
    requireArguments(arguments.length, 1, 'Event');
    const { bubbles, cancelable, composed } = toDictionary(options, 'Event');
    this.#state = {
      __proto__: null, type: toDOMString(type), bubbles: !!bubbles, cancelable: !!cancelable, composed: !!composed,
      target: null, currentTarget: null, phase: NONE, stopped: false, stoppedAtOnce: false, canceled: false,
      dispatching: false, initialized: true, passive: false, trusted: false, timeStamp: clock(),
    };
    // [LegacyUnforgeable]
    ObjectDefineProperty(this, 'isTrusted', accessorDescriptor(getIsTrusted, undefined, true, false));
  }

  get type() { return this.#state.type; }
  get target() { return this.#state.target; }
  get srcElement() { return this.#state.target; }
  get currentTarget() { return this.#state.currentTarget; }
  get eventPhase() { return this.#state.phase; }
  get bubbles() { return this.#state.bubbles; }
  get cancelable() { return this.#state.cancelable; }
  get composed() { return this.#state.composed; }
  get defaultPrevented() { return this.#state.canceled; }
  get timeStamp() { return this.#state.timeStamp; }
  get cancelBubble() { return this.#state.stopped; }
  set cancelBubble(value) { if (value) this.#state.stopped = true; }
  get returnValue() { return !this.#state.canceled; }
  set returnValue(value) { if (!value) this.preventDefault(); }

  composedPath() {
    const path = newList();
    if (this.#state.currentTarget !== null) path[0] = this.#state.currentTarget;
    return toArray(path);
  }

  stopPropagation() { this.#state.stopped = true; }

  stopImmediatePropagation() {
    this.#state.stopped = true;
    this.#state.stoppedAtOnce = true;
  }

  preventDefault() {
    if (this.#state.cancelable && !this.#state.passive) this.#state.canceled = true;
  }

  initEvent(type, bubbles = false, cancelable = false) {
    requireArguments(arguments.length, 1, 'initEvent');
    const state = this.#state;
    if (state.dispatching) return;
    state.type = toDOMString(type);
    state.bubbles = !!bubbles;
    state.cancelable = !!cancelable;
    state.initialized = true;
    state.stopped = false;
    state.stoppedAtOnce = false;
    state.canceled = false;
    state.target = null;
  }

  static {
    isEvent = (value) => isObject(value) && #state in value;
    eventState = (event) => event.#state;
  }
}
const { isTrusted: getIsTrusted } = {
  isTrusted() { return eventState(this).trusted; },
};
shapeInterface(Event, 'Event', { __proto__: null, NONE: 0, CAPTURING_PHASE: 1, AT_TARGET: 2, BUBBLING_PHASE: 3 });
showAs(isEvent, (event) => {
  const { type, defaultPrevented, cancelable, timeStamp } = event;
  return { __proto__: null, name: 'Event', entries: list(
    'type', type, 'defaultPrevented', defaultPrevented, 'cancelable', cancelable, 'timeStamp', timeStamp,
  ) };
});

/** Runs a callback when a signal aborts, for `addEventListener`. Set by abort.js, which imports this file. */
let follow;
let signalAborted;
export function connectSignals(followSignal, isAborted) {
  follow = followSignal;
  signalAborted = isAborted;
}

/** Dispatches a trusted event to the current listeners. */
export let fire;

export class EventTarget {
  #listeners = newList();

  addEventListener(type, callback, options = undefined) {
    requireArguments(arguments.length, 2, 'addEventListener');
    const name = toDOMString(type);
    const listener = { __proto__: null, type: name, callback, capture: false, once: false, passive: false, removed: false };
    if (isObject(options)) {
      const { capture, once, passive, signal } = options;
      listener.capture = !!capture;
      listener.once = !!once;
      listener.passive = !!passive;
      if (signal !== undefined) {
        if (signalAborted(signal)) return;
        follow(signal, () => this.#remove(listener));
      }
    } else {
      listener.capture = !!options;
    }
    if (callback === null || callback === undefined) return;
    if (!isObject(callback)) throw new TypeError('addEventListener: the listener must be a function or an object.');
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i += 1) {
      const other = listeners[i];
      if (other.type === name && other.callback === callback && other.capture === listener.capture) return;
    }
    listeners[listeners.length] = listener;
  }

  removeEventListener(type, callback, options = undefined) {
    requireArguments(arguments.length, 2, 'removeEventListener');
    const name = toDOMString(type);
    const capture = isObject(options) ? !!options.capture : !!options;
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i += 1) {
      const listener = listeners[i];
      if (listener.type === name && listener.callback === callback && listener.capture === capture) {
        this.#remove(listener);
        return;
      }
    }
  }

  dispatchEvent(event) {
    requireArguments(arguments.length, 1, 'dispatchEvent');
    if (!isEvent(event)) throw new TypeError('dispatchEvent: the argument must be an Event.');
    const state = eventState(event);
    if (state.dispatching || !state.initialized) {
      throw new DOMException('The event is already being dispatched.', 'InvalidStateError');
    }
    state.trusted = false;
    return dispatch(this, event);
  }

  #remove(listener) {
    listener.removed = true;
    const kept = newList();
    const listeners = this.#listeners;
    for (let i = 0; i < listeners.length; i += 1) if (listeners[i] !== listener) kept[kept.length] = listeners[i];
    this.#listeners = kept;
  }

  static {
    dispatch = (target, event) => {
      const state = eventState(event);
      state.dispatching = true;
      state.target = target;
      state.currentTarget = target;
      state.phase = AT_TARGET;
      // Listeners added during dispatch are called for the next event. Removed ones are skipped.
      const listeners = newList();
      for (let i = 0; i < target.#listeners.length; i += 1) listeners[i] = target.#listeners[i];
      for (let pass = 0; pass < 2 && !state.stopped; pass += 1) {
        for (let i = 0; i < listeners.length; i += 1) {
          const listener = listeners[i];
          if (listener.removed || listener.type !== state.type || listener.capture !== (pass === 0)) continue;
          if (listener.once) target.#remove(listener);
          state.passive = listener.passive;
          call(listener.callback, target, event);
          state.passive = false;
          if (state.stoppedAtOnce) break;
        }
      }
      state.phase = NONE;
      state.currentTarget = null;
      state.dispatching = false;
      state.stopped = false;
      state.stoppedAtOnce = false;
      return !state.canceled;
    };
    fire = (target, type) => {
      const event = new Event(type);
      eventState(event).trusted = true;
      return dispatch(target, event);
    };
  }
}
shapeInterface(EventTarget, 'EventTarget');

function call(callback, target, event) {
  report(() => {
    if (typeof callback === 'function') {
      ReflectApply(callback, target, [event]);
      return;
    }
    const handle = callback.handleEvent;
    if (typeof handle !== 'function') throw new TypeError('The listener has no handleEvent function.');
    ReflectApply(handle, callback, [event]);
  });
}

/** Defines an event handler attribute (`onabort`) as an accessor of a listener, ordered by its first assignment. */
export function defineHandler(type, eventType, slot) {
  ObjectDefineProperty(type.prototype, `on${eventType}`, accessorDescriptor(
    function get() { return slot(this).callback; },
    function set(value) {
      const held = slot(this);
      const added = held.listener !== undefined;
      held.callback = typeof value === 'function' ? value : null;
      if (!added && held.callback !== null) {
        held.listener = (event) => {
          if (held.callback !== null) ReflectApply(held.callback, this, [event]);
        };
        addListener(this, eventType, held.listener);
      }
    },
    true,
  ));
}
const { addEventListener } = EventTarget.prototype;
const addListener = (target, type, listener) => ReflectApply(addEventListener, target, [type, listener]);
