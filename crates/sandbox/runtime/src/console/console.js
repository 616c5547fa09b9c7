// The `console` namespace. Every line is passed to `ops.log`, with a level of the execution's log.

import {
  ArrayPrototypeJoin, Error, Map, MapPrototypeDelete, MapPrototypeGet, MapPrototypeHas, MapPrototypeSet,
  NumberPrototypeToFixed, ObjectCreate, ObjectDefineProperty, Object, ReflectOwnKeys, String, StringPrototypeRepeat,
  StringPrototypeIncludes, StringPrototypeIndexOf, StringPrototypeSlice, SymbolToStringTag, dataDescriptor, newList, splitText,
} from '../primordials.js';
import { stackOf } from './errors.js';
import { createFormat } from './format.js';
import { inspectOptions } from './inspect.js';
import { createTable } from './table.js';

const GROUP_INDENTATION = 2;
const MAX_GROUP_INDENTATION = 100;

/** Formats a duration like Node's timers: 1.234ms, 1.234s, 1:02.345 (m:ss.mmm). */
export function formatDuration(milliseconds) {
  if (milliseconds < 1000) return `${+NumberPrototypeToFixed(milliseconds, 3)}ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${NumberPrototypeToFixed(seconds, 3)}s`;
  const minutes = (seconds - (seconds % 60)) / 60;
  const rest = NumberPrototypeToFixed(seconds % 60, 3);
  return `${minutes}:${rest.length < 6 ? '0' : ''}${rest} (m:ss.mmm)`;
}

export function createConsole(ops, inspect) {
  const format = createFormat(ops, inspect);
  const drawTable = createTable(ops, inspect);
  const counts = new Map();
  const timers = new Map();
  let indentation = '';

  function write(level, text) {
    let lines = text;
    if (indentation !== '') {
      lines = StringPrototypeIncludes(text, '\n')
        ? indentation + ArrayPrototypeJoin(splitText(text, '\n'), `\n${indentation}`)
        : indentation + text;
    }
    ops.log(level, lines);
  }

  const labelOf = (label) => (label === undefined ? 'default' : String(label));

  function elapsed(name, label) {
    if (!MapPrototypeHas(timers, label)) {
      write('warn', `No such label '${label}' for console.${name}()`);
      return undefined;
    }
    return `${label}: ${formatDuration(ops.now() - MapPrototypeGet(timers, label))}`;
  }

  function timeLine(name, label, rest) {
    const text = elapsed(name, label);
    if (text === undefined) return;
    write('info', rest.length === 0 ? text : `${text} ${format(rest)}`);
  }

  function openGroup(args) {
    if (args.length > 0) write('info', format(args));
    if (indentation.length < MAX_GROUP_INDENTATION) indentation += StringPrototypeRepeat(' ', GROUP_INDENTATION);
  }

  const methods = {
    log(...args) { write('info', format(args)); },
    warn(...args) { write('warn', format(args)); },
    error(...args) { write('error', format(args)); },
    info(...args) { write('info', format(args)); },
    debug(...args) { write('debug', format(args)); },
    dir(item, options) {
      const given = inspectOptions(options);
      given.customInspect = false;
      write('info', inspect(item, given));
    },
    dirxml(...args) { write('info', format(args)); },
    table(data, columns) {
      const drawing = drawTable(data, columns);
      write('info', drawing === undefined ? format([data]) : drawing);
    },
    trace(...args) {
      const message = format(args);
      // The first line is the error's title, followed by the frames of the caller.
      const stack = stackOf(new Error()) ?? '';
      const frames = StringPrototypeIndexOf(stack, '\n    at');
      const where = frames === -1 ? '' : StringPrototypeSlice(stack, frames);
      write('info', `Trace${message === '' ? '' : `: ${message}`}${where}`);
    },
    assert(condition, ...args) {
      if (condition) return;
      if (typeof args[0] === 'string') args[0] = `Assertion failed: ${args[0]}`;
      else if (args.length === 0) args[0] = 'Assertion failed';
      else { write('error', `Assertion failed ${format(args)}`); return; }
      write('error', format(args));
    },
    count(label) {
      const name = labelOf(label);
      const count = (MapPrototypeGet(counts, name) ?? 0) + 1;
      MapPrototypeSet(counts, name, count);
      write('info', `${name}: ${count}`);
    },
    countReset(label) {
      const name = labelOf(label);
      if (!MapPrototypeDelete(counts, name)) write('warn', `Count for '${name}' does not exist`);
    },
    group(...args) { openGroup(args); },
    groupCollapsed(...args) { openGroup(args); },
    groupEnd() {
      indentation = StringPrototypeRepeat(' ', indentation.length === 0 ? 0 : indentation.length - GROUP_INDENTATION);
    },
    time(label) {
      const name = labelOf(label);
      if (MapPrototypeHas(timers, name)) write('warn', `Label '${name}' already exists for console.time()`);
      else MapPrototypeSet(timers, name, ops.now());
    },
    timeLog(label, ...rest) { timeLine('timeLog', labelOf(label), rest); },
    timeEnd(label) {
      const name = labelOf(label);
      timeLine('timeEnd', name, newList());
      MapPrototypeDelete(timers, name);
    },
    clear() {},
  };
  // The console standard: a namespace object whose prototype is an empty object.
  const console = ObjectCreate(ObjectCreate(Object.prototype));
  const names = ReflectOwnKeys(methods);
  for (let i = 0; i < names.length; i += 1) {
    ObjectDefineProperty(console, names[i], dataDescriptor(methods[names[i]], true, true));
  }
  ObjectDefineProperty(console, SymbolToStringTag, dataDescriptor('console', false));
  return console;
}
