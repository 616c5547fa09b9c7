// Original built-ins, captured before any script runs.
//
// Invariant: code that determines recorded data uses built-ins only through this file. `uncurryThis` binds the original
// `Function.prototype.call`, so a later replacement of a method on a prototype has no effect here.

const { bind, call } = Function.prototype;

/** `uncurryThis(Type.prototype.method)(receiver, ...args)` calls the original method, even if `Type` was changed. */
export const uncurryThis = bind.bind(call);

export const getter = (object, key) => uncurryThis(Object.getOwnPropertyDescriptor(object, key).get);

// Constructors and namespaces, for `new` and identity checks.
const {
  AggregateError: PrimordialAggregateError,
  Array: PrimordialArray,
  ArrayBuffer: PrimordialArrayBuffer,
  BigInt: PrimordialBigInt,
  Boolean: PrimordialBoolean,
  DataView: PrimordialDataView,
  Date: PrimordialDate,
  Error: PrimordialError,
  Function: PrimordialFunction,
  Map: PrimordialMap,
  Number: PrimordialNumber,
  Object: PrimordialObject,
  Promise: PrimordialPromise,
  RangeError: PrimordialRangeError,
  RegExp: PrimordialRegExp,
  Set: PrimordialSet,
  String: PrimordialString,
  SyntaxError: PrimordialSyntaxError,
  TypeError: PrimordialTypeError,
  Uint8Array: PrimordialUint8Array,
  WeakMap: PrimordialWeakMap,
} = globalThis;
export {
  PrimordialAggregateError as AggregateError,
  PrimordialArray as Array,
  PrimordialArrayBuffer as ArrayBuffer,
  PrimordialBigInt as BigInt,
  PrimordialBoolean as Boolean,
  PrimordialDataView as DataView,
  PrimordialDate as Date,
  PrimordialError as Error,
  PrimordialFunction as Function,
  PrimordialMap as Map,
  PrimordialNumber as Number,
  PrimordialObject as Object,
  PrimordialPromise as Promise,
  PrimordialRangeError as RangeError,
  PrimordialRegExp as RegExp,
  PrimordialSet as Set,
  PrimordialString as String,
  PrimordialSyntaxError as SyntaxError,
  PrimordialTypeError as TypeError,
  PrimordialUint8Array as Uint8Array,
  PrimordialWeakMap as WeakMap,
};

// Static functions.
export const ArrayBufferIsView = ArrayBuffer.isView;
export const ArrayIsArray = Array.isArray;
export const DateNow = Date.now;
export const {
  assign: ObjectAssign,
  create: ObjectCreate,
  defineProperty: ObjectDefineProperty,
  freeze: ObjectFreeze,
  getOwnPropertyDescriptor: ObjectGetOwnPropertyDescriptor,
  getOwnPropertyNames: ObjectGetOwnPropertyNames,
  getPrototypeOf: ObjectGetPrototypeOf,
  hasOwn: ObjectHasOwn,
  is: ObjectIs,
  keys: ObjectKeys,
  setPrototypeOf: ObjectSetPrototypeOf,
} = Object;
export const {
  apply: ReflectApply,
  construct: ReflectConstruct,
  deleteProperty: ReflectDeleteProperty,
  getOwnPropertyDescriptor: ReflectGetOwnPropertyDescriptor,
  ownKeys: ReflectOwnKeys,
} = Reflect;
export const JSONParse = JSON.parse;
export const JSONStringify = JSON.stringify;
export const {
  floor: MathFloor,
  max: MathMax,
  min: MathMin,
  round: MathRound,
  sqrt: MathSqrt,
  trunc: MathTrunc,
} = Math;
export const NumberIsFinite = Number.isFinite;
export const NumberIsInteger = Number.isInteger;
export const NumberIsNaN = Number.isNaN;
export const NumberParseFloat = Number.parseFloat;
export const NumberParseInt = Number.parseInt;
export const StringFromCharCode = String.fromCharCode;
export const SymbolAsyncIterator = Symbol.asyncIterator;
export const SymbolFor = Symbol.for;
export const SymbolHasInstance = Symbol.hasInstance;
export const SymbolIterator = Symbol.iterator;
export const SymbolToStringTag = Symbol.toStringTag;

// Methods and getters, uncurried.
export const ArrayPrototypeJoin = uncurryThis(Array.prototype.join);
export const ArrayPrototypeSort = uncurryThis(Array.prototype.sort);
export const ArrayBufferPrototypeGetByteLength = getter(ArrayBuffer.prototype, 'byteLength');
export const ArrayBufferPrototypeGetDetached = getter(ArrayBuffer.prototype, 'detached');
export const ArrayBufferPrototypeGetMaxByteLength = getter(ArrayBuffer.prototype, 'maxByteLength');
export const ArrayBufferPrototypeGetResizable = getter(ArrayBuffer.prototype, 'resizable');
export const ArrayBufferPrototypeTransfer = uncurryThis(ArrayBuffer.prototype.transfer);
export const BigIntPrototypeToString = uncurryThis(BigInt.prototype.toString);
export const BigIntPrototypeValueOf = uncurryThis(BigInt.prototype.valueOf);
export const BooleanPrototypeValueOf = uncurryThis(Boolean.prototype.valueOf);
export const DataViewPrototypeGetBuffer = getter(DataView.prototype, 'buffer');
export const DataViewPrototypeGetByteLength = getter(DataView.prototype, 'byteLength');
export const DataViewPrototypeGetByteOffset = getter(DataView.prototype, 'byteOffset');
export const DatePrototypeGetTime = uncurryThis(Date.prototype.getTime);
export const DatePrototypeToISOString = uncurryThis(Date.prototype.toISOString);
export const ErrorPrototypeToString = uncurryThis(Error.prototype.toString);
export const FunctionPrototypeToString = uncurryThis(Function.prototype.toString);
export const MapPrototypeDelete = uncurryThis(Map.prototype.delete);
export const MapPrototypeForEach = uncurryThis(Map.prototype.forEach);
export const MapPrototypeGet = uncurryThis(Map.prototype.get);
export const MapPrototypeGetSize = getter(Map.prototype, 'size');
export const MapPrototypeHas = uncurryThis(Map.prototype.has);
export const MapPrototypeSet = uncurryThis(Map.prototype.set);
export const NumberPrototypeToFixed = uncurryThis(Number.prototype.toFixed);
export const NumberPrototypeToString = uncurryThis(Number.prototype.toString);
export const NumberPrototypeValueOf = uncurryThis(Number.prototype.valueOf);
export const ObjectPrototypeHasOwnProperty = uncurryThis(Object.prototype.hasOwnProperty);
export const ObjectPrototypePropertyIsEnumerable = uncurryThis(Object.prototype.propertyIsEnumerable);
export const PromisePrototypeThen = uncurryThis(Promise.prototype.then);
export const RegExpPrototypeExec = uncurryThis(RegExp.prototype.exec);
export const RegExpPrototypeGetSource = getter(RegExp.prototype, 'source');
export const SetPrototypeAdd = uncurryThis(Set.prototype.add);
export const SetPrototypeDelete = uncurryThis(Set.prototype.delete);
export const SetPrototypeForEach = uncurryThis(Set.prototype.forEach);
export const SetPrototypeGetSize = getter(Set.prototype, 'size');
export const SetPrototypeHas = uncurryThis(Set.prototype.has);
export const StringPrototypeCharCodeAt = uncurryThis(String.prototype.charCodeAt);
export const StringPrototypeEndsWith = uncurryThis(String.prototype.endsWith);
export const StringPrototypeIncludes = uncurryThis(String.prototype.includes);
export const StringPrototypeIndexOf = uncurryThis(String.prototype.indexOf);
export const StringPrototypeLastIndexOf = uncurryThis(String.prototype.lastIndexOf);
export const StringPrototypePadEnd = uncurryThis(String.prototype.padEnd);
export const StringPrototypePadStart = uncurryThis(String.prototype.padStart);
export const StringPrototypeRepeat = uncurryThis(String.prototype.repeat);
export const StringPrototypeSlice = uncurryThis(String.prototype.slice);
export const StringPrototypeStartsWith = uncurryThis(String.prototype.startsWith);
export const StringPrototypeToLowerCase = uncurryThis(String.prototype.toLowerCase);
export const StringPrototypeToUpperCase = uncurryThis(String.prototype.toUpperCase);
export const StringPrototypeToWellFormed = uncurryThis(String.prototype.toWellFormed);
export const StringPrototypeValueOf = uncurryThis(String.prototype.valueOf);
export const SymbolPrototypeGetDescription = getter(Symbol.prototype, 'description');
export const SymbolPrototypeToString = uncurryThis(Symbol.prototype.toString);
export const SymbolPrototypeValueOf = uncurryThis(Symbol.prototype.valueOf);
export const WeakMapPrototypeGet = uncurryThis(WeakMap.prototype.get);
export const WeakMapPrototypeHas = uncurryThis(WeakMap.prototype.has);
export const WeakRefPrototypeDeref = uncurryThis(WeakRef.prototype.deref);
export const WeakMapPrototypeSet = uncurryThis(WeakMap.prototype.set);

const TypedArrayPrototype = Object.getPrototypeOf(Uint8Array.prototype);
export const TypedArray = Object.getPrototypeOf(Uint8Array);
export const TypedArrayPrototypeFill = uncurryThis(TypedArrayPrototype.fill);
export const TypedArrayPrototypeGetBuffer = getter(TypedArrayPrototype, 'buffer');
export const TypedArrayPrototypeGetByteLength = getter(TypedArrayPrototype, 'byteLength');
export const TypedArrayPrototypeGetByteOffset = getter(TypedArrayPrototype, 'byteOffset');
export const TypedArrayPrototypeGetLength = getter(TypedArrayPrototype, 'length');
export const TypedArrayPrototypeGetToStringTag = getter(TypedArrayPrototype, Symbol.toStringTag);
export const TypedArrayPrototypeSet = uncurryThis(TypedArrayPrototype.set);

/** Typed array constructors by the tag of their instances. */
export const typedArrayConstructors = Object.freeze(
  Object.assign(Object.create(null), {
    BigInt64Array, BigUint64Array, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array,
    Uint8Array, Uint8ClampedArray, Uint16Array, Uint32Array,
    ...(globalThis.Float16Array === undefined ? {} : { Float16Array: globalThis.Float16Array }),
  }),
);

/** Makes an array without a prototype, so that indices, holes and `join` never run setters or methods of a script. */
export const newList = () => ObjectSetPrototypeOf([], null);

/** Makes a property descriptor without a prototype, so that a polluted `Object.prototype.get` has no effect. */
export const dataDescriptor = (value, writable = true, enumerable = false, configurable = true) =>
  ({ __proto__: null, value, writable, enumerable, configurable });

export const accessorDescriptor = (get, set, enumerable = false, configurable = true) =>
  ({ __proto__: null, get, set, enumerable, configurable });

/** `String.prototype.split` without `Symbol.split`. */
export function splitText(text, separator) {
  const parts = newList();
  let from = 0;
  for (;;) {
    const at = StringPrototypeIndexOf(text, separator, from);
    if (at === -1) break;
    parts[parts.length] = StringPrototypeSlice(text, from, at);
    from = at + separator.length;
  }
  parts[parts.length] = StringPrototypeSlice(text, from);
  return parts;
}

/** `String.prototype.replaceAll` for plain strings, without `Symbol.replace`. */
export const replaceText = (text, search, replacement) => {
  const parts = splitText(text, search);
  return parts.length === 1 ? text : ArrayPrototypeJoin(parts, replacement);
};
