// Errors as text. The stack comes from Rust's formatter; here it is only read, never through a script's getter.

import {
  ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectHasOwn, ReflectApply, Error,
  StringPrototypeEndsWith, StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeSlice, StringPrototypeStartsWith, newList,
} from '../primordials.js';
import { domExceptionFields } from '../web/dom_exception.js';
import { dataOf, findData, indentLines } from './inspect.js';

// V8 holds `stack` in an accessor of its own; a getter that is not this one is a script's.
const ownStackGetter = ObjectGetOwnPropertyDescriptor(new Error(), 'stack')?.get;

/** The `stack` of `error` as V8 or the script set it, or `undefined`. */
export function stackOf(error) {
  const descriptor = ObjectGetOwnPropertyDescriptor(error, 'stack');
  if (descriptor === undefined) return undefined;
  let value;
  if (ObjectHasOwn(descriptor, 'value')) value = descriptor.value;
  else if (ownStackGetter !== undefined && descriptor.get === ownStackGetter) value = ReflectApply(ownStackGetter, error, []);
  return typeof value === 'string' && value !== '' ? value : undefined;
}

/** `name` or `message` of an error, as text and without its accessors. */
export function textOf(context, error, key) {
  const dom = domExceptionFields(error);
  const value = dom === undefined ? findData(context, error, key) : dom[key];
  return typeof value === 'string' ? value : undefined;
}

/** `Name: message` from data properties alone. */
export function errorTitle(context, error) {
  const name = textOf(context, error, 'name') ?? 'Error';
  const message = textOf(context, error, 'message') ?? '';
  if (name === '') return message;
  return message === '' ? name : `${name}: ${message}`;
}

/** The class's own name, where the stack's first line does not tell it. */
function nameTheClass(context, error, stack) {
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

/** The error's text and the keys that are still worth showing in braces after it. */
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
  stack = nameTheClass(context, error, stack);
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

