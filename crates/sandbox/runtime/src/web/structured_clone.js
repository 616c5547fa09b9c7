// structuredClone of the HTML standard, implemented on internal slots so that no copy leaves the isolate's heap.

import {
  Array, ArrayBuffer, ArrayBufferPrototypeGetByteLength,
  ArrayBufferPrototypeGetDetached, ArrayBufferPrototypeGetMaxByteLength, ArrayBufferPrototypeGetResizable,
  ArrayBufferPrototypeTransfer, BigIntPrototypeValueOf, BooleanPrototypeValueOf, DataView, DataViewPrototypeGetBuffer,
  DataViewPrototypeGetByteLength, DataViewPrototypeGetByteOffset, Date, DatePrototypeGetTime, Error, Map,
  MapPrototypeForEach, MapPrototypeGet, MapPrototypeHas, MapPrototypeSet, NumberPrototypeValueOf, Object,
  ObjectDefineProperty, ObjectGetPrototypeOf, ObjectHasOwn, ObjectKeys, RangeError, ReflectGetOwnPropertyDescriptor, RegExp, RegExpPrototypeGetSource, Set,
  SetPrototypeAdd, SetPrototypeForEach, StringPrototypeValueOf, SymbolPrototypeToString, SyntaxError, TypeError,
  TypedArrayPrototypeGetBuffer, TypedArrayPrototypeGetByteOffset, TypedArrayPrototypeGetLength,
  TypedArrayPrototypeGetToStringTag, TypedArrayPrototypeSet, Uint8Array, WeakRefPrototypeDeref, dataDescriptor, newList, typedArrayConstructors,
} from '../primordials.js';
import { stackOf } from '../console/errors.js';
import { flagsOf } from '../console/kinds.js';
import { DOMException, domExceptionFields } from './dom_exception.js';
import { isArrayBuffer, isObject, requireArguments, toDictionary, toSequence } from './idl.js';

const { EvalError, ReferenceError, URIError } = globalThis;
const errorTypes = {
  __proto__: null, Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
};
/** Cloneable classes of the runtime, each with a brand check and a copy function. */
const cloneable = newList();
export function makeCloneable(isInstance, copy) {
  cloneable[cloneable.length] = { __proto__: null, isInstance, copy };
}

/** Returns whether the value is a WeakRef, by the engine's check when its target is read. */
function isWeakRef(value) {
  try {
    WeakRefPrototypeDeref(value);
    return true;
  } catch {
    return false;
  }
}

const failure = (what) => new DOMException(`${what} could not be cloned.`, 'DataCloneError');

export function createStructuredClone(ops) {
  function copyPrimitive(value) {
    if (typeof value === 'symbol') throw failure(SymbolPrototypeToString(value));
    return value;
  }

  function remember(memory, value, copy) {
    MapPrototypeSet(memory, value, copy);
    return copy;
  }

  function copyValue(value, memory) {
    if (!isObject(value)) return copyPrimitive(value);
    if (MapPrototypeHas(memory, value)) return MapPrototypeGet(memory, value);
    switch (ops.classOf(value)) {
      case 'Boolean': return remember(memory, value, Object(BooleanPrototypeValueOf(value)));
      case 'Number': return remember(memory, value, Object(NumberPrototypeValueOf(value)));
      case 'BigInt': return remember(memory, value, Object(BigIntPrototypeValueOf(value)));
      case 'String': return remember(memory, value, Object(StringPrototypeValueOf(value)));
      case 'Date': return remember(memory, value, new Date(DatePrototypeGetTime(value)));
      case 'RegExp': return remember(memory, value, new RegExp(RegExpPrototypeGetSource(value), flagsOf(value)));
      case 'ArrayBuffer': return remember(memory, value, copyBuffer(value));
      case 'DataView':
      case 'TypedArray': return copyView(value, memory);
      case 'Map': return copyMap(value, memory);
      case 'Set': return copySet(value, memory);
      case 'Error': return copyError(value, memory);
      case 'Array': {
        const copy = new Array(value.length);
        remember(memory, value, copy);
        return copyProperties(value, copy, memory);
      }
      case 'Arguments':
      case 'Object': return copyObject(value, memory);
      default: throw failure(typeof value === 'function' ? 'A function' : `A ${ops.classOf(value)}`);
    }
  }

  function copyObject(value, memory) {
    for (let i = 0; i < cloneable.length; i += 1) {
      const { isInstance, copy } = cloneable[i];
      if (isInstance(value)) {
        if (copy === undefined) throw failure('This object');
        return remember(memory, value, copy(value));
      }
    }
    if (ObjectGetPrototypeOf(value) !== Object.prototype && isWeakRef(value)) throw failure('A WeakRef');
    const copy = {};
    remember(memory, value, copy);
    return copyProperties(value, copy, memory);
  }

  function copyProperties(value, copy, memory) {
    const keys = ObjectKeys(value);
    for (let i = 0; i < keys.length; i += 1) {
      // A getter that ran in between may have deleted the property.
      if (!ObjectHasOwn(value, keys[i])) continue;
      ObjectDefineProperty(copy, keys[i], dataDescriptor(copyValue(value[keys[i]], memory), true, true));
    }
    return copy;
  }

  function copyBuffer(buffer) {
    if (ArrayBufferPrototypeGetDetached(buffer)) throw failure('A detached ArrayBuffer');
    const length = ArrayBufferPrototypeGetByteLength(buffer);
    const copy = ArrayBufferPrototypeGetResizable(buffer)
      ? new ArrayBuffer(length, { __proto__: null, maxByteLength: ArrayBufferPrototypeGetMaxByteLength(buffer) })
      : new ArrayBuffer(length);
    TypedArrayPrototypeSet(new Uint8Array(copy), new Uint8Array(buffer));
    return copy;
  }

  function copyView(view, memory) {
    const name = TypedArrayPrototypeGetToStringTag(view);
    if (name === undefined) {
      const buffer = copyValue(DataViewPrototypeGetBuffer(view), memory);
      const copy = new DataView(buffer, DataViewPrototypeGetByteOffset(view), DataViewPrototypeGetByteLength(view));
      return remember(memory, view, copy);
    }
    const buffer = copyValue(TypedArrayPrototypeGetBuffer(view), memory);
    const Type = typedArrayConstructors[name];
    const copy = new Type(buffer, TypedArrayPrototypeGetByteOffset(view), TypedArrayPrototypeGetLength(view));
    return remember(memory, view, copy);
  }

  function copyMap(map, memory) {
    const copy = remember(memory, map, new Map());
    const entries = newList();
    MapPrototypeForEach(map, (value, key) => {
      entries[entries.length] = key;
      entries[entries.length] = value;
    });
    for (let i = 0; i < entries.length; i += 2) {
      const key = copyValue(entries[i], memory);
      MapPrototypeSet(copy, key, copyValue(entries[i + 1], memory));
    }
    return copy;
  }

  function copySet(set, memory) {
    const copy = remember(memory, set, new Set());
    const entries = newList();
    SetPrototypeForEach(set, (value) => { entries[entries.length] = value; });
    for (let i = 0; i < entries.length; i += 1) SetPrototypeAdd(copy, copyValue(entries[i], memory));
    return copy;
  }

  function copyError(error, memory) {
    const dom = domExceptionFields(error);
    if (dom !== undefined) return remember(memory, error, new DOMException(dom.message, dom.name));
    const name = error.name === undefined ? 'Error' : `${error.name}`;
    const Type = errorTypes[name] ?? Error;
    const message = ReflectGetOwnPropertyDescriptor(error, 'message');
    const copy = message !== undefined && ObjectHasOwn(message, 'value') ? new Type(`${message.value}`) : new Type();
    remember(memory, error, copy);
    const stack = stackOf(error);
    if (stack !== undefined) ObjectDefineProperty(copy, 'stack', dataDescriptor(stack));
    const cause = ReflectGetOwnPropertyDescriptor(error, 'cause');
    if (cause !== undefined && ObjectHasOwn(cause, 'value')) {
      ObjectDefineProperty(copy, 'cause', dataDescriptor(copyValue(cause.value, memory)));
    }
    return copy;
  }

  function structuredClone(value, options = undefined) {
    requireArguments(arguments.length, 1, 'structuredClone');
    const { transfer } = toDictionary(options, 'structuredClone');
    const buffers = transfer === undefined ? newList() : toSequence(transfer, 'structuredClone', (item) => item);
    for (let i = 0; i < buffers.length; i += 1) {
      const buffer = buffers[i];
      if (!isArrayBuffer(buffer)) throw new DOMException('A value in transfer is not transferable.', 'DataCloneError');
      if (ArrayBufferPrototypeGetDetached(buffer)) throw failure('A detached ArrayBuffer');
      for (let j = 0; j < i; j += 1) {
        if (buffers[j] === buffer) throw new DOMException('transfer holds a value twice.', 'DataCloneError');
      }
    }
    const copy = copyValue(value, new Map());
    // A transfer is a copy without its source. It comes last, so that a failed clone leaves every buffer intact.
    for (let i = 0; i < buffers.length; i += 1) ArrayBufferPrototypeTransfer(buffers[i]);
    return copy;
  }

  return structuredClone;
}
