// Formatting of the arguments of `console.log` as one text: format specifiers first, then the rest separated by spaces.

import {
  Error, JSONStringify, NumberParseFloat, NumberParseInt, ObjectGetPrototypeOf, ObjectHasOwn, String,
  StringPrototypeCharCodeAt, StringPrototypeIncludes, StringPrototypeSlice, SymbolPrototypeToString, Object,
} from '../primordials.js';
import { dataOf, inspectOptions } from './inspect.js';
import { formatBigInt, formatNumber } from './quote.js';

const CODE_PERCENT = 37;
const SHALLOW = inspectOptions({ depth: 0 });
const EVERYTHING = inspectOptions({ depth: 4, showHidden: true });

export function createFormat(ops, inspect) {
  /** Returns whether the value has a `toString` of the script, whose text is preferred to inspection. */
  function hasOwnToString(value) {
    if (ops.proxyTarget(value) !== undefined) return false;
    for (let holder = value; holder !== null && holder !== Object.prototype; holder = ObjectGetPrototypeOf(holder)) {
      if (ops.proxyTarget(holder) !== undefined) return false;
      if (ObjectHasOwn(holder, 'toString')) {
        // `toString` of built-in classes describes only the class, so their instances are inspected.
        const constructor = dataOf(holder, 'constructor');
        return typeof constructor !== 'function' || !isBuiltIn(constructor);
      }
    }
    return false;
  }

  const builtIns = [Array, Function, Map, RegExp, Set, Promise, Number, Boolean, BigInt, Symbol, String, Date, Error];
  function isBuiltIn(constructor) {
    for (let i = 0; i < builtIns.length; i += 1) if (builtIns[i] === constructor) return true;
    return false;
  }

  function asString(value) {
    switch (typeof value) {
      case 'string': return value;
      case 'number': return formatNumber(value);
      case 'bigint': return formatBigInt(value);
      case 'symbol': return SymbolPrototypeToString(value);
      case 'undefined': return 'undefined';
      case 'object':
        if (value === null) return 'null';
        return hasOwnToString(value) ? String(value) : inspect(value, SHALLOW);
      default:
        return typeof value === 'function' ? String(value) : `${value}`;
    }
  }

  const asNumber = (value, parse) => {
    if (typeof value === 'bigint') return formatBigInt(value);
    if (typeof value === 'symbol') return 'NaN';
    if (typeof value === 'object') return formatNumber(parse === undefined ? NaN : parse(value));
    return formatNumber(parse(value));
  };

  function asJson(value) {
    try {
      return `${JSONStringify(value)}`;
    } catch (error) {
      const message = error instanceof Error ? dataOf(error, 'message') : undefined;
      if (typeof message === 'string' && StringPrototypeIncludes(message, 'circular structure')) return '[Circular]';
      throw error;
    }
  }

  const toNumber = (value) => +value;

  function substitute(specifier, value) {
    switch (specifier) {
      case 's': return asString(value);
      case 'd': return asNumber(value, toNumber);
      case 'i': return asNumber(value, NumberParseInt);
      case 'f': return typeof value === 'symbol' ? 'NaN' : formatNumber(NumberParseFloat(value));
      case 'j': return asJson(value);
      case 'o': return inspect(value, EVERYTHING);
      case 'O': return inspect(value);
      case 'c': return '';
      default: return undefined;
    }
  }

  /** @param {unknown[]} args only own elements are read, by index */
  return function format(args) {
    if (args.length === 0) return '';
    let next = 0;
    let text = '';
    if (typeof args[0] === 'string') {
      const template = args[0];
      next = 1;
      let copied = 0;
      if (args.length > 1) {
        for (let i = 0; i < template.length - 1; i += 1) {
          if (StringPrototypeCharCodeAt(template, i) !== CODE_PERCENT) continue;
          const specifier = template[i + 1];
          let replacement;
          if (specifier === '%') replacement = '%';
          else if (next < args.length) {
            replacement = substitute(specifier, args[next]);
            if (replacement !== undefined) next += 1;
          }
          if (replacement === undefined) continue;
          text += StringPrototypeSlice(template, copied, i) + replacement;
          i += 1;
          copied = i + 1;
        }
      }
      text += StringPrototypeSlice(template, copied);
    }
    for (; next < args.length; next += 1) {
      const value = args[next];
      text += next === 0 ? '' : ' ';
      text += typeof value === 'string' ? value : inspect(value);
    }
    return text;
  };
}
