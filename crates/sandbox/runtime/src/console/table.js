// console.table: rows and columns between box-drawing lines, in the format of Node 22.

import {
  MapPrototypeForEach, MathMax, ObjectGetOwnPropertyDescriptor, ObjectHasOwn, ReflectOwnKeys, SetPrototypeForEach,
  StringPrototypePadEnd, StringPrototypeRepeat, newList,
} from '../primordials.js';
import { inspectOptions } from './inspect.js';

const CELL = inspectOptions({ depth: 0, maxArrayLength: 3, breakLength: Infinity });

function push(list, value) { list[list.length] = value; }

function indexIn(list, value) {
  for (let i = 0; i < list.length; i += 1) if (list[i] === value) return i;
  return -1;
}

/** Lists own enumerable properties with string keys, [key, descriptor] alternating. */
function properties(object) {
  const found = newList();
  const keys = ReflectOwnKeys(object);
  for (let i = 0; i < keys.length; i += 1) {
    if (typeof keys[i] !== 'string') continue;
    const descriptor = ObjectGetOwnPropertyDescriptor(object, keys[i]);
    if (descriptor?.enumerable) { push(found, keys[i]); push(found, descriptor); }
  }
  return found;
}

export function createTable(ops, inspect) {
  const isObject = (value) => value !== null && (typeof value === 'object' || typeof value === 'function');
  const plain = (value) => {
    let target = value;
    while (isObject(target)) {
      const inner = ops.proxyTarget(target);
      if (inner === undefined) break;
      target = inner;
    }
    return target;
  };
  const cell = (descriptor) => {
    if (ObjectHasOwn(descriptor, 'value')) return inspect(descriptor.value, CELL);
    return descriptor.get === undefined ? '[Setter]' : '[Getter]';
  };

  /** Lists the rows as [label, value | descriptor], by the kind of container. */
  function rowsOf(data, kind) {
    const rows = newList();
    if (kind === 'Map') {
      MapPrototypeForEach(data, (value, key) => push(rows, { __proto__: null, label: `${rows.length}`, key, value }));
    } else if (kind === 'Set') {
      SetPrototypeForEach(data, (value) => push(rows, { __proto__: null, label: `${rows.length}`, value }));
    } else {
      const found = properties(data);
      for (let i = 0; i < found.length; i += 2) {
        const descriptor = found[i + 1];
        const row = { __proto__: null, label: found[i], value: undefined, text: undefined };
        if (ObjectHasOwn(descriptor, 'value')) row.value = descriptor.value; else row.text = cell(descriptor);
        push(rows, row);
      }
    }
    return rows;
  }

  /** @returns the table as text, or `undefined` if the input has no rows. */
  return function table(input, columns) {
    const data = plain(input);
    if (!isObject(data)) return undefined;
    const kind = ops.classOf(data);
    const rows = rowsOf(data, kind);
    const index = kind === 'Map' || kind === 'Set' ? '(iteration index)' : '(index)';
    const names = newList();
    if (columns !== undefined) {
      for (let i = 0; i < columns.length; i += 1) push(names, `${columns[i]}`);
    }
    const lines = newList();
    let hasValues = false;
    for (let i = 0; i < rows.length; i += 1) {
      const row = rows[i];
      const cells = { __proto__: null };
      const line = { __proto__: null, label: row.label, key: '', value: '', cells };
      if (kind === 'Map') line.key = inspect(row.key, CELL);
      const value = plain(row.value);
      if (kind === 'Map') {
        line.value = inspect(value, CELL);
        hasValues = true;
      } else if (row.text === undefined && isObject(value) && typeof value !== 'function') {
        const found = properties(value);
        for (let j = 0; j < found.length; j += 2) {
          if (columns === undefined && indexIn(names, found[j]) === -1) push(names, found[j]);
          cells[found[j]] = cell(found[j + 1]);
        }
      } else {
        line.value = row.text ?? inspect(value, CELL);
        hasValues = true;
      }
      push(lines, line);
    }
    return draw(lines, names, index, kind === 'Map', hasValues);
  };
}

function draw(lines, names, index, keyed, hasValues) {
  const header = newList();
  push(header, index);
  if (keyed) push(header, 'Key');
  if (!keyed) for (let i = 0; i < names.length; i += 1) push(header, names[i]);
  if (hasValues) push(header, 'Values');
  const grid = newList();
  for (let i = 0; i < lines.length; i += 1) {
    const row = newList();
    push(row, lines[i].label);
    if (keyed) push(row, lines[i].key);
    if (!keyed) for (let j = 0; j < names.length; j += 1) push(row, lines[i].cells[names[j]] ?? '');
    if (hasValues) push(row, lines[i].value);
    push(grid, row);
  }
  const widths = newList();
  for (let column = 0; column < header.length; column += 1) {
    let width = header[column].length;
    for (let i = 0; i < grid.length; i += 1) width = MathMax(width, grid[i][column].length);
    widths[column] = width + 2;
  }
  const rule = (left, middle, right) => {
    let line = left;
    for (let i = 0; i < widths.length; i += 1) line += (i === 0 ? '' : middle) + StringPrototypeRepeat('─', widths[i]);
    return line + right;
  };
  const written = (row) => {
    let line = '│';
    for (let i = 0; i < row.length; i += 1) line += ` ${StringPrototypePadEnd(row[i], widths[i] - 1)}│`;
    return line;
  };
  let text = `${rule('┌', '┬', '┐')}\n${written(header)}\n${rule('├', '┼', '┤')}\n`;
  for (let i = 0; i < grid.length; i += 1) text += `${written(grid[i])}\n`;
  return text + rule('└', '┴', '┘');
}
