// Formatting of errors. Rust makes the stack, which is only read here, and never through a getter of a script.

import {
  ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectHasOwn, ReflectApply, Error,
  StringPrototypeEndsWith, StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeSlice, StringPrototypeStartsWith, newList,
} from '../primordials.js';
import { domExceptionFields } from '../web/dom_exception.js';
import { dataOf, findData, indentLines } from './inspect.js';

// V8's own accessor of `stack`. Any other getter belongs to a script.
const ownStackGetter = ObjectGetOwnPropertyDescriptor(new Error(), 'stack')?.get;

/** Returns the `stack` of `error` as set by V8 or by the script, or `undefined`. */
export function stackOf(error) {
  const descriptor = ObjectGetOwnPropertyDescriptor(error, 'stack');
  if (descriptor === undefined) return undefined;
  let value;
  if (ObjectHasOwn(descriptor, 'value')) value = descriptor.value;
  else if (ownStackGetter !== undefined && descriptor.get === ownStackGetter) value = ReflectApply(ownStackGetter, error, []);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** Returns `name` or `message` of an error as text, without running accessors. */
export function textOf(context, error, key) {
  const dom = domExceptionFields(error);
  const value = dom === undefined ? findData(context, error, key) : dom[key];
  return typeof value === 'string' ? value : undefined;
}

/** Makes `Name: message` from data properties only. */
export function errorTitle(context, error) {
  const name = textOf(context, error, 'name') ?? 'Error';
  const message = textOf(context, error, 'message') ?? '';
  if (name === '') return message;
  return message === '' ? name : `${name}: ${message}`;
}

/** Adds the name of the class if the first line of the stack lacks it. */
function addClassName(context, error, stack) {
  const name = textOf(context, error, 'name') ?? 'Error';
  const prototype = ObjectGetPrototypeOf(error);
  if (prototype === null) {
    return StringPrototypeStartsWith(stack, name) ? `[${name}: null prototype]${StringPrototypeSlice(stack, name.length)}` : stack;
  }
  if (context.ops.proxyTarget(prototype) !== undefined) return stack;
  const constructor = dataOf(prototype, 'constructor');
  const className = typeof constructor === 'function' ? dataOf(constructor, 'name') : undefined;
  if (typeof className !== 'string' || className === '' || className === name) return stack;
  if (!StringPrototypeEndsWith(name, 'Error') || !StringPrototypeStartsWith(stack, name)) return stack;
  const next = stack[name.length];
  if (next !== undefined && next !== ':' && next !== '\n') return stack;
  const title = StringPrototypeIncludes(className, name) ? className : `${className} [${name}]`;
  return title + StringPrototypeSlice(stack, name.length);
}

/** Formats an error. Returns its text and the keys to show in braces after it. */
export function formatError(context, error, keys) {
  let stack = stackOf(error) ?? errorTitle(context, error);
  const shown = newList();
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    if (key === 'name' || key === 'message' || key === 'stack') {
      const value = dataOf(error, key);
      if (typeof value === 'string' && StringPrototypeIncludes(stack, value)) continue;
    }
    shown[shown.length] = key;
  }
  if (hidden(error, 'cause', keys)) shown[shown.length] = 'cause';
  if (hidden(error, 'errors', keys)) shown[shown.length] = 'errors';
  stack = addClassName(context, error, stack);
  const message = textOf(context, error, 'message') ?? '';
  const at = message === '' ? -1 : StringPrototypeIndexOf(stack, message);
  const from = at === -1 ? 0 : at + message.length;
  if (StringPrototypeIndexOf(stack, '\n    at', from) === -1) stack = `[${stack}]`;
  return { __proto__: null, text: indentLines(stack, context.indentation), keys: shown };
}

function hidden(error, key, keys) {
  if (!ObjectHasOwn(error, key)) return false;
  for (let i = 0; i < keys.length; i += 1) if (keys[i] === key) return false;
  return true;
}

