// Formatting of values as text, in the format of Node's `util.inspect`, which authors know.
//
// Invariant: formatting a value runs none of the script's code. Properties are read through their descriptors, so no
// getter and no proxy trap is called. Class names and tags are read only from data properties. The one exception is
// requested by the script: a method under `Symbol.for('nodejs.util.inspect.custom')`.

import {
  ArrayIsArray, NumberIsFinite, ObjectGetOwnPropertyDescriptor, ObjectGetPrototypeOf, ObjectHasOwn,
  ReflectApply, ReflectOwnKeys, RegExpPrototypeExec, StringPrototypeRepeat, StringPrototypeSlice, SymbolFor,
  SymbolPrototypeToString, SymbolToStringTag, ArrayPrototypeJoin, TypedArrayPrototypeGetToStringTag,
  MapPrototypeGet, MapPrototypeSet, Map, newList,
} from '../primordials.js';
import { layOut } from './layout.js';
import { formatBigInt, formatKey, formatNumber, quote, splitLines } from './quote.js';
import { describe } from './kinds.js';

const CUSTOM = SymbolFor('nodejs.util.inspect.custom');
const ARRAY_INDEX = /^(?:0|[1-9][0-9]{0,9})$/;
/** Minimum length of a string that is split into lines, in characters. */
const MIN_LINE_WIDTH = 16;
/** Maximum output in characters, after which nested objects are not expanded. A log line is truncated at this size. */
const MAX_OUTPUT_CHARACTERS = 262_144;

const DEFAULTS = {
  __proto__: null, depth: 2, showHidden: false, breakLength: 80, maxArrayLength: 100, maxStringLength: 10_000,
  customInspect: true,
};

/** Reads the options of a script. Invalid ones fall back to the default. */
export function inspectOptions(given) {
  const options = { __proto__: null, ...DEFAULTS };
  if (typeof given !== 'object' || given === null) return options;
  const { depth, showHidden, breakLength, maxArrayLength, maxStringLength } = given;
  const limit = (value, fallback) => {
    if (value === null || value === Infinity) return Infinity;
    return typeof value === 'number' && NumberIsFinite(value) && value >= 0 ? value : fallback;
  };
  options.depth = limit(depth, DEFAULTS.depth);
  options.breakLength = limit(breakLength, DEFAULTS.breakLength);
  options.maxArrayLength = limit(maxArrayLength, DEFAULTS.maxArrayLength);
  options.maxStringLength = limit(maxStringLength, DEFAULTS.maxStringLength);
  options.showHidden = showHidden === true;
  return options;
}

/** @returns {(value: unknown, options?: object) => string} */
export function createInspect(ops) {
  return function inspect(value, options = DEFAULTS) {
    const context = {
      __proto__: null,
      ...options,
      ops,
      format: formatValue,
      seen: newList(),
      circular: undefined,
      indentation: 0,
      deepest: 0,
      budget: MAX_OUTPUT_CHARACTERS,
    };
    return formatValue(context, value, 0, true);
  };
}

export function formatPrimitive(context, value, top = false) {
  switch (typeof value) {
    case 'string': return formatString(context, value, top);
    case 'number': return formatNumber(value);
    case 'bigint': return formatBigInt(value);
    case 'symbol': return SymbolPrototypeToString(value);
    default: return `${value}`;
  }
}

function formatString(context, value) {
  let text = value;
  let trailer = '';
  if (text.length > context.maxStringLength) {
    const rest = text.length - context.maxStringLength;
    text = StringPrototypeSlice(text, 0, context.maxStringLength);
    trailer = `... ${rest} more character${rest > 1 ? 's' : ''}`;
  }
  if (text.length > MIN_LINE_WIDTH && text.length > context.breakLength - context.indentation - 4) {
    const lines = splitLines(text);
    for (let i = 0; i < lines.length; i += 1) lines[i] = quote(lines[i]);
    return ArrayPrototypeJoin(lines, ` +\n${StringPrototypeRepeat(' ', context.indentation + 2)}`) + trailer;
  }
  return quote(text) + trailer;
}

function formatValue(context, value, level, top = false) {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) {
    if (typeof value === 'undefined' || value === null) return `${value}`;
    return formatPrimitive(context, value, top);
  }
  let target = value;
  for (let inner = context.ops.proxyTarget(target); inner !== undefined; inner = context.ops.proxyTarget(target)) {
    if (inner === null) return '<Revoked Proxy>';
    target = inner;
  }
  if (context.customInspect) {
    const custom = findData(context, target, CUSTOM);
    if (typeof custom === 'function') {
      return formatCustom(context, custom, target, level);
    }
  }
  if (contains(context.seen, target)) {
    context.circular ??= new Map();
    let index = MapPrototypeGet(context.circular, target);
    if (index === undefined) {
      context.circularCount = (context.circularCount ?? 0) + 1;
      index = context.circularCount;
      MapPrototypeSet(context.circular, target, index);
    }
    return `[Circular *${index}]`;
  }
  return formatObject(context, target, level);
}

/** Calls the script's own formatter with the remaining depth and plain options. It returns a string or a value. */
function formatCustom(context, custom, value, level) {
  const depth = context.depth - level;
  const options = { depth, showHidden: context.showHidden, breakLength: context.breakLength };
  const inspect = (inner, given) => createInspect(context.ops)(inner, inspectOptions(given));
  const answer = ReflectApply(custom, value, [depth, options, inspect]);
  if (answer === value) return formatObject(context, value, level);
  if (typeof answer !== 'string') return formatValue(context, answer, level);
  return indentLines(answer, context.indentation);
}

/** Indents every line except the first by `indentation` spaces. */
export function indentLines(text, indentation) {
  if (indentation === 0) return text;
  return ArrayPrototypeJoin(splitLines(text), StringPrototypeRepeat(' ', indentation));
}

function contains(list, value) {
  for (let i = 0; i < list.length; i += 1) if (list[i] === value) return true;
  return false;
}

/** Finds a data property of `object` or its prototypes, without accessors and proxies. */
export function findData(context, object, key) {
  for (let holder = object; holder !== null; holder = ObjectGetPrototypeOf(holder)) {
    if (context.ops.proxyTarget(holder) !== undefined) return undefined;
    const descriptor = ObjectGetOwnPropertyDescriptor(holder, key);
    if (descriptor !== undefined) return ObjectHasOwn(descriptor, 'value') ? descriptor.value : undefined;
  }
  return undefined;
}

/** Returns the class name of `object`, or `null` for an object without a prototype. */
function classNameOf(context, object) {
  let foundPrototype = false;
  for (let holder = object; holder !== null; holder = ObjectGetPrototypeOf(holder)) {
    if (context.ops.proxyTarget(holder) !== undefined) return 'Object';
    if (holder !== object) foundPrototype = true;
    const constructor = dataOf(holder, 'constructor');
    if (typeof constructor === 'function' && context.ops.proxyTarget(constructor) === undefined) {
      const name = dataOf(constructor, 'name');
      if (typeof name === 'string' && name !== '' && isInstance(context, object, dataOf(constructor, 'prototype'))) {
        return name;
      }
    }
  }
  return foundPrototype ? 'Object <Complex prototype>' : null;
}

export function dataOf(object, key) {
  const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
  return descriptor !== undefined && ObjectHasOwn(descriptor, 'value') ? descriptor.value : undefined;
}

function isInstance(context, object, prototype) {
  let holder = ObjectGetPrototypeOf(object);
  while (holder !== null) {
    if (holder === prototype) return true;
    if (context.ops.proxyTarget(holder) !== undefined) return false;
    holder = ObjectGetPrototypeOf(holder);
  }
  return false;
}

/** Returns `Symbol.toStringTag` if it differs from the class name. */
function tagOf(context, object, className) {
  // An own, enumerable tag is listed among the properties.
  if (ObjectGetOwnPropertyDescriptor(object, SymbolToStringTag)?.enumerable) return '';
  const native = ArrayIsArray(object) ? undefined : TypedArrayPrototypeGetToStringTag(object);
  const tag = native ?? findData(context, object, SymbolToStringTag);
  return typeof tag === 'string' && tag !== '' && tag !== className ? tag : '';
}

/** Makes the text `Name(size) [tag] ` before the brace. `fallback` names the kind of an object without a prototype. */
export function prefix(className, tag, fallback, size = '') {
  const suffix = tag === '' || tag === fallback ? '' : `[${tag}] `;
  return className === null ? `[${fallback}${size}: null prototype] ${suffix}` : `${className}${size} ${suffix}`;
}

/** Lists the shown own keys: enumerable ones, without the indices of arrays. */
export function visibleKeys(context, object, isArrayLike) {
  const keys = ReflectOwnKeys(object);
  const visible = newList();
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    if (isArrayLike && typeof key === 'string' && RegExpPrototypeExec(ARRAY_INDEX, key) !== null) continue;
    if (context.showHidden || ObjectGetOwnPropertyDescriptor(object, key)?.enumerable) {
      visible[visible.length] = key;
    }
  }
  return visible;
}

function formatObject(context, object, level) {
  const className = classNameOf(context, object);
  const tag = tagOf(context, object, className);
  const view = describe(context, object, className, tag);
  const { keys } = view;
  if (view.whole !== undefined && keys.length === 0) return view.whole;
  if (level > context.depth || context.budget <= 0) {
    if (view.whole !== undefined && view.wholeWhenDeep) return view.whole;
    const name = prefix(className, tag, view.fallback ?? 'Object');
    return `[${StringPrototypeSlice(name, 0, -1)}]`;
  }
  const inner = level + 1;
  context.seen[context.seen.length] = object;
  context.deepest = inner;
  const output = newList();
  if (view.items !== undefined) view.items(output, inner);
  const isList = view.isList === true;
  for (let i = 0; i < keys.length; i += 1) {
    if (context.budget <= 0) {
      const rest = keys.length - i;
      output[output.length] = `... ${rest} more propert${rest > 1 ? 'ies' : 'y'}`;
      break;
    }
    output[output.length] = formatProperty(context, object, keys[i], inner);
  }
  context.seen.length -= 1;
  let { base } = view;
  let { open } = view;
  const index = context.circular === undefined ? undefined : MapPrototypeGet(context.circular, object);
  if (index !== undefined) {
    if (base === '') open = `<ref *${index}> ${open}`;
    else base = `<ref *${index}> ${base}`;
  }
  const text = layOut(context, {
    __proto__: null, base, open, close: view.close, output, isList, values: view.values, cut: view.cut === true,
  }, inner);
  context.budget -= text.length - (output.length === 0 ? 0 : 1);
  return text;
}

/** Formats the value of a property, data or accessor. */
export function formatSlot(context, descriptor, level) {
  if (ObjectHasOwn(descriptor, 'value')) {
    context.indentation += 2;
    const text = formatValue(context, descriptor.value, level);
    context.indentation -= 2;
    return text;
  }
  if (descriptor.get !== undefined) return descriptor.set === undefined ? '[Getter]' : '[Getter/Setter]';
  return descriptor.set === undefined ? 'undefined' : '[Setter]';
}

function formatProperty(context, object, key, level) {
  const descriptor = ObjectGetOwnPropertyDescriptor(object, key);
  const name = formatKey(key, descriptor.enumerable);
  context.budget -= name.length;
  return `${name}: ${formatSlot(context, descriptor, level)}`;
}
