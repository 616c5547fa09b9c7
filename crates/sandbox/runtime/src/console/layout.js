// Line layout of inspected objects: on one line if short and shallow, else one part per line, and long arrays of short
// items in columns. The constants are those of Node's `util.inspect`, whose output authors know.

import {
  ArrayPrototypeJoin, MathFloor, MathMax, MathMin, MathRound, MathSqrt, StringPrototypeIncludes,
  StringPrototypePadEnd, StringPrototypePadStart, StringPrototypeRepeat, newList,
} from '../primordials.js';

/** Maximum number of levels of nesting on one line. */
const MAX_COMPACT_LEVELS = 3;
const GROUPING_THRESHOLD = 6;
const SEPARATOR_WIDTH = 2;
const MAX_COLUMNS = 15;
/** Ratio of a character's height to its width, with which columns aim at a square. */
const CHARACTER_HEIGHT = 2.5;

const isNumeric = (value) => typeof value === 'number' || typeof value === 'bigint';

/** Computes the widths of the columns, or `undefined` if columns would not help. */
function columnWidths(context, output, count) {
  const lengths = newList();
  let total = 0;
  let longest = 0;
  for (let i = 0; i < count; i += 1) {
    const { length } = output[i];
    lengths[i] = length;
    total += length + SEPARATOR_WIDTH;
    longest = MathMax(longest, length);
  }
  const widest = longest + SEPARATOR_WIDTH;
  if (widest * 3 + context.indentation >= context.breakLength) return undefined;
  if (total / widest <= 5 && longest > 6) return undefined;
  // Corrects the estimate, which the average lowers for wide items.
  const bias = MathMax(widest - 3 - MathSqrt(widest - total / output.length), 1);
  const columns = MathMin(
    MathRound(MathSqrt(CHARACTER_HEIGHT * bias * count) / bias),
    MathFloor((context.breakLength - context.indentation) / widest),
    MAX_COMPACT_LEVELS * 4,
    MAX_COLUMNS,
  );
  if (columns <= 1) return undefined;
  const widths = newList();
  for (let column = 0; column < columns; column += 1) {
    let width = 0;
    for (let i = column; i < count; i += columns) width = MathMax(width, lengths[i]);
    widths[column] = width + SEPARATOR_WIDTH;
  }
  return widths;
}

/** Arranges `count` items of an array in columns. A note about omitted items after them keeps its own line. */
function inColumns(context, output, count, numbers) {
  const widths = columnWidths(context, output, count);
  if (widths === undefined) return output;
  const rows = newList();
  for (let first = 0; first < count; first += widths.length) {
    const end = MathMin(first + widths.length, count);
    let row = '';
    for (let i = first; i < end; i += 1) {
      const last = i === end - 1;
      const width = widths[i - first];
      if (numbers) {
        row += last
          ? StringPrototypePadStart(output[i], width - SEPARATOR_WIDTH)
          : StringPrototypePadStart(`${output[i]}, `, width);
      } else {
        row += last ? output[i] : StringPrototypePadEnd(`${output[i]}, `, width);
      }
    }
    rows[rows.length] = row;
  }
  for (let i = count; i < output.length; i += 1) rows[rows.length] = output[i];
  return rows;
}

function fitsOneLine(context, output, start, base) {
  let total = output.length + start;
  if (total + output.length > context.breakLength) return false;
  for (let i = 0; i < output.length; i += 1) {
    total += output[i].length;
    if (total > context.breakLength) return false;
    if (StringPrototypeIncludes(output[i], '\n')) return false;
  }
  return base === '' || !StringPrototypeIncludes(base, '\n');
}

/** `parts.values` is the array whose items `parts.output` describes, or `undefined` for anything but an array. */
export function layOut(context, parts, level) {
  const { base, open, close, values, cut } = parts;
  let { output } = parts;
  const entries = output.length;
  const head = base === '' ? '' : `${base} `;
  if (parts.isList && entries > GROUPING_THRESHOLD) {
    let numbers = values !== undefined;
    for (let i = 0; numbers && i < output.length; i += 1) numbers = isNumeric(values[i]);
    output = inColumns(context, output, cut ? entries - 1 : entries, numbers);
  }
  if (context.deepest - level < MAX_COMPACT_LEVELS && entries === output.length) {
    const start = output.length + context.indentation + open.length + base.length + 10;
    if (fitsOneLine(context, output, start, base)) {
      return `${head}${open} ${ArrayPrototypeJoin(output, ', ')} ${close}`;
    }
  }
  const indentation = `\n${StringPrototypeRepeat(' ', context.indentation)}`;
  return `${head}${open}${indentation}  ${ArrayPrototypeJoin(output, `,${indentation}  `)}${indentation}${close}`;
}
