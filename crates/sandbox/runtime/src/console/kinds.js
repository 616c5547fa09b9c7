// Format of each kind of object: its braces, its items, and its text when there is nothing to list.

import {
  ArrayPrototypeJoin, BigIntPrototypeValueOf, BooleanPrototypeValueOf, DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength, DataViewPrototypeGetByteOffset, DatePrototypeGetTime, DatePrototypeToISOString,
  FunctionPrototypeToString, MapPrototypeForEach, MapPrototypeGetSize, MathMin, NumberIsNaN,
  NumberPrototypeToString, NumberPrototypeValueOf, ObjectGetPrototypeOf, ObjectHasOwn,
  RegExpPrototypeGetSource, SetPrototypeForEach, SetPrototypeGetSize,
  StringPrototypePadStart, StringPrototypeStartsWith, StringPrototypeValueOf,
  SymbolPrototypeValueOf, TypedArrayPrototypeGetLength, Uint8Array, newList, uncurryThis,
  ArrayBufferPrototypeGetByteLength, ObjectGetOwnPropertyDescriptor, ReflectOwnKeys,
} from '../primordials.js';
import { formatError } from './errors.js';
import { dataOf, formatPrimitive, formatSlot, prefix, visibleKeys } from './inspect.js';
import { formatKey } from './quote.js';
import { webFields } from './web_fields.js';

const unboxed = {
  __proto__: null,
  Number: NumberPrototypeValueOf,
  String: StringPrototypeValueOf,
  Boolean: BooleanPrototypeValueOf,
  BigInt: BigIntPrototypeValueOf,
  Symbol: SymbolPrototypeValueOf,
};

/** Formats a nested value with two more columns of indentation. */
function nested(context, value, level) {
  context.indentation += 2;
  const text = context.format(context, value, level);
  context.indentation -= 2;
  return text;
}

const more = (count, what = 'item') => `... ${count} more ${what}${count > 1 ? 's' : ''}`;

/** Describes an object in braces. `whole` is its text if it has no keys, or `undefined` if it always has items. */
function braced(context, object, open, items, whole) {
  return {
    __proto__: null, base: '', open, close: '}', keys: visibleKeys(context, object, false), items, whole,
  };
}

/** @returns the input of `formatObject`: base, open, close, keys, items, whole, isList, values, cut, wholeWhenDeep. */
export function describe(context, object, className, tag) {
  const kind = context.ops.classOf(object);
  switch (kind) {
    case 'Array': return describeArray(context, object, className, tag);
    case 'TypedArray': return describeTypedArray(context, object, className, tag);
    case 'Arguments': return describeArguments(context, object);
    case 'Map': return describeMap(context, object, className, tag);
    case 'Set': return describeSet(context, object, className, tag);
    case 'MapIterator':
    case 'SetIterator': return describeIterator(context, object, kind === 'MapIterator' ? 'Map' : 'Set');
    case 'Function': return withBase(context, object, functionBase(object, className, tag));
    case 'RegExp': return withBase(context, object, regExpBase(object, className, tag), true);
    case 'Date': return withBase(context, object, dateBase(object, className, tag), true);
    case 'Error': return describeError(context, object);
    case 'Number': case 'String': case 'Boolean': case 'BigInt': case 'Symbol':
      return describeBoxed(context, object, kind, className, tag);
    case 'Promise': return describePromise(context, object, className, tag);
    case 'ArrayBuffer': return describeArrayBuffer(context, object, className, tag);
    case 'DataView': return describeDataView(context, object, className, tag);
    case 'WeakMap': case 'WeakSet': {
      const open = `${prefix(className, tag, kind)}{`;
      return braced(context, object, open, (output) => { output[0] = '<items unknown>'; });
    }
    default: return describePlain(context, object, className, tag);
  }
}

function describeArray(context, array, className, tag) {
  const { length } = array;
  const open = className === 'Array' && tag === '' ? '[' : `${prefix(className, tag, 'Array', `(${length})`)}[`;
  const view = {
    __proto__: null, base: '', open, close: ']', keys: visibleKeys(context, array, true), isList: true,
    values: array, cut: false, fallback: 'Array', whole: length === 0 ? `${open}]` : undefined,
  };
  view.items = (output, level) => {
    let shown = 0;
    let i = 0;
    for (; i < length && shown < context.maxArrayLength && context.budget > 0; shown += 1) {
      const descriptor = ObjectGetOwnPropertyDescriptor(array, i);
      if (descriptor === undefined) {
        const next = nextIndex(array, i, length);
        const holes = next - i;
        output[output.length] = `<${holes} empty item${holes > 1 ? 's' : ''}>`;
        i = next;
      } else {
        output[output.length] = formatSlot(context, descriptor, level);
        i += 1;
      }
    }
    if (i < length) {
      view.cut = true;
      output[output.length] = more(length - i);
    }
  };
  return view;
}

/** Finds the next existing index. Probes a few, then lists all keys: a sparse array may have four billion elements. */
function nextIndex(array, from, length) {
  const probes = MathMin(length, from + 100);
  for (let i = from + 1; i < probes; i += 1) if (ObjectHasOwn(array, i)) return i;
  if (probes === length) return length;
  const keys = ReflectOwnKeys(array);
  for (let i = 0; i < keys.length; i += 1) {
    const index = typeof keys[i] === 'string' ? keys[i] >>> 0 : -1;
    if (index > from && index < length && `${index}` === keys[i]) return index;
  }
  return length;
}

function describeTypedArray(context, array, className, tag) {
  const length = TypedArrayPrototypeGetLength(array);
  const open = `${prefix(className, tag, 'TypedArray', `(${length})`)}[`;
  const shown = MathMin(length, context.maxArrayLength);
  return {
    __proto__: null, base: '', open, close: ']', keys: visibleKeys(context, array, true), isList: true,
    values: array, cut: length > shown, fallback: className ?? 'TypedArray', whole: length === 0 ? `${open}]` : undefined,
    items(output) {
      for (let i = 0; i < shown; i += 1) output[i] = formatPrimitive(context, array[i]);
      if (length > shown) output[output.length] = more(length - shown);
    },
  };
}

function describeArguments(context, object) {
  const length = dataOf(object, 'length');
  const count = typeof length === 'number' ? MathMin(length, context.maxArrayLength) : 0;
  return {
    __proto__: null, base: '', open: '[Arguments] [', close: ']', keys: visibleKeys(context, object, true),
    isList: true, fallback: 'Arguments', whole: count === 0 ? '[Arguments] []' : undefined,
    items(output, level) {
      for (let i = 0; i < count; i += 1) {
        const descriptor = ObjectGetOwnPropertyDescriptor(object, i);
        output[output.length] = descriptor === undefined ? '<1 empty item>' : formatSlot(context, descriptor, level);
      }
    },
  };
}

function describeMap(context, map, className, tag) {
  const size = MapPrototypeGetSize(map);
  const open = `${prefix(className, tag, 'Map', `(${size})`)}{`;
  return braced(context, map, open, (output, level) => {
    context.indentation += 2;
    let count = 0;
    MapPrototypeForEach(map, (value, key) => {
      if (count < context.maxArrayLength && context.budget > 0) {
        output[output.length] =
          `${context.format(context, key, level)} => ${context.format(context, value, level)}`;
        count += 1;
      }
    });
    context.indentation -= 2;
    if (size > count) output[output.length] = more(size - count);
  }, size === 0 ? `${open}}` : undefined);
}

function describeSet(context, set, className, tag) {
  const size = SetPrototypeGetSize(set);
  const open = `${prefix(className, tag, 'Set', `(${size})`)}{`;
  return braced(context, set, open, (output, level) => {
    let count = 0;
    SetPrototypeForEach(set, (value) => {
      if (count < context.maxArrayLength && context.budget > 0) {
        output[output.length] = nested(context, value, level);
        count += 1;
      }
    });
    if (size > count) output[output.length] = more(size - count);
  }, size === 0 ? `${open}}` : undefined);
}

function describeIterator(context, iterator, of) {
  const preview = context.ops.mapEntries(iterator);
  const entries = preview[0];
  const keyed = preview[1] === true;
  return braced(context, iterator, `[${of} ${keyed ? 'Entries' : 'Iterator'}] {`, (output, level) => {
    const step = keyed ? 2 : 1;
    const end = MathMin(entries.length, context.maxArrayLength * step);
    for (let i = 0; i < end; i += step) {
      output[output.length] = keyed
        ? `[ ${nested(context, entries[i], level)}, ${nested(context, entries[i + 1], level)} ]`
        : nested(context, entries[i], level);
    }
    if (end < entries.length) output[output.length] = more((entries.length - end) / step);
  });
}

/** Describes objects with a text of their own (functions, dates …), with braces only for extra properties. */
function withBase(context, object, base, wholeWhenDeep = false) {
  return {
    __proto__: null, base, open: '{', close: '}', keys: visibleKeys(context, object, false), whole: base,
    wholeWhenDeep,
  };
}

function functionBase(fn, className, tag) {
  const source = FunctionPrototypeToString(fn);
  const ownName = dataOf(fn, 'name');
  const name = typeof ownName === 'string' && ownName !== '' ? ownName : undefined;
  if (StringPrototypeStartsWith(source, 'class') && source[source.length - 1] === '}') {
    const parent = ObjectGetPrototypeOf(fn);
    const parentName = typeof parent === 'function' ? dataOf(parent, 'name') : undefined;
    let text = `[class ${name ?? '(anonymous)'}`;
    if (className !== 'Function' && className !== null) text += ` [${className}]`;
    if (tag !== '') text += ` [${tag}]`;
    if (className === null) text += ' extends [null prototype]';
    else if (typeof parentName === 'string' && parentName !== '') text += ` extends ${parentName}`;
    return `${text}]`;
  }
  // The tag of an async or generator function is its kind.
  const type = tag === 'AsyncFunction' || tag === 'GeneratorFunction' || tag === 'AsyncGeneratorFunction'
    ? tag
    : (className === 'AsyncFunction' || className === 'GeneratorFunction' || className === 'AsyncGeneratorFunction'
      ? className : 'Function');
  let text = `[${type}`;
  if (className === null) text += ' (null prototype)';
  text += name === undefined ? ' (anonymous)]' : `: ${name}]`;
  if (className !== type && className !== null && className !== 'Function') text += ` ${className}`;
  if (tag !== '' && tag !== type) text += ` [${tag}]`;
  return text;
}

function regExpBase(regExp, className, tag) {
  const text = `/${RegExpPrototypeGetSource(regExp)}/${flagsOf(regExp)}`;
  return className === 'RegExp' && tag === '' ? text : `${prefix(className, tag, 'RegExp')}${text}`;
}

const flagGetters = ['hasIndices', 'global', 'ignoreCase', 'multiline', 'dotAll', 'unicode', 'unicodeSets', 'sticky']
  .map((name) => uncurryThis(Object.getOwnPropertyDescriptor(RegExp.prototype, name).get));
const FLAG_LETTERS = 'dgimsuvy';

/** Reads the flags from internal slots. The accessor `flags` reads properties that a script may have redefined. */
export function flagsOf(regExp) {
  let flags = '';
  for (let i = 0; i < FLAG_LETTERS.length; i += 1) if (flagGetters[i](regExp)) flags += FLAG_LETTERS[i];
  return flags;
}

function dateBase(date, className, tag) {
  const text = NumberIsNaN(DatePrototypeGetTime(date)) ? 'Invalid Date' : DatePrototypeToISOString(date);
  return className === 'Date' && tag === '' ? text : `${prefix(className, tag, 'Date')}${text}`;
}

function describeError(context, error) {
  const keys = visibleKeys(context, error, false);
  const { text, keys: shown } = formatError(context, error, keys);
  return { __proto__: null, base: text, open: '{', close: '}', keys: shown, whole: text, wholeWhenDeep: true };
}

function describeBoxed(context, object, kind, className, tag) {
  const primitive = unboxed[kind](object);
  let text = `[${kind}`;
  if (className !== kind) text += className === null ? ' (null prototype)' : ` (${className})`;
  const full = { __proto__: null, ...context, breakLength: Infinity };
  text += `: ${formatPrimitive(full, primitive)}]`;
  if (tag !== '' && tag !== className) text += ` [${tag}]`;
  const keys = visibleKeys(context, object, kind === 'String');
  return { __proto__: null, base: text, open: '{', close: '}', keys, whole: text, wholeWhenDeep: true };
}

function describePromise(context, promise, className, tag) {
  const open = `${prefix(className, tag, 'Promise')}{`;
  return braced(context, promise, open, (output, level) => {
    const settled = context.ops.promiseState(promise);
    if (settled[0] === 'pending') {
      output[0] = '<pending>';
    } else {
      const text = nested(context, settled[1], level);
      output[0] = settled[0] === 'rejected' ? `<rejected> ${text}` : text;
    }
  });
}

function describeArrayBuffer(context, buffer, className, tag) {
  const open = `${prefix(className, tag, 'ArrayBuffer')}{`;
  return braced(context, buffer, open, (output) => {
    const length = ArrayBufferPrototypeGetByteLength(buffer);
    const bytes = new Uint8Array(buffer);
    const shown = newList();
    for (let i = 0; i < length && i < context.maxArrayLength; i += 1) {
      shown[i] = StringPrototypePadStart(NumberPrototypeToString(bytes[i], 16), 2, '0');
    }
    const rest = length - shown.length;
    const tail = rest > 0 ? ` ${more(rest, 'byte')}` : '';
    output[0] = `[Uint8Contents]: <${ArrayPrototypeJoin(shown, ' ')}${tail}>`;
    output[1] = `byteLength: ${length}`;
  });
}

function describeDataView(context, view, className, tag) {
  return braced(context, view, `${prefix(className, tag, 'DataView')}{`, (output, level) => {
    output[0] = `byteLength: ${DataViewPrototypeGetByteLength(view)}`;
    output[1] = `byteOffset: ${DataViewPrototypeGetByteOffset(view)}`;
    output[2] = `buffer: ${nested(context, DataViewPrototypeGetBuffer(view), level)}`;
  });
}

function describePlain(context, object, className, tag) {
  const fields = webFields(object);
  if (fields !== undefined) {
    const { arrow, entries } = fields;
    return braced(context, object, `${prefix(className, '', fields.name)}{`, (output, level) => {
      for (let i = 0; i < entries.length; i += 2) {
        const key = arrow ? nested(context, entries[i], level) : formatKey(entries[i], true);
        output[output.length] = `${key}${arrow ? ' =>' : ':'} ${nested(context, entries[i + 1], level)}`;
      }
    }, entries.length === 0 ? `${prefix(className, '', fields.name)}{}` : undefined);
  }
  const open = className === 'Object' && tag === '' ? '{' : `${prefix(className, tag, 'Object')}{`;
  return braced(context, object, open, undefined, `${open}}`);
}
