// Description of an uncaught value, for the record of the run. Runs none of the script's code: the stack comes from V8
// and the rest from data properties. Other values are inspected without the script's own formatters.

import { StringPrototypeIncludes } from '../primordials.js';
import { errorTitle, stackOf, textOf } from './errors.js';
import { createInspect, findData, inspectOptions } from './inspect.js';

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

/** Adds the status to a message: error messages of Plane often lack it. */
function withStatus(message, status) {
  return typeof status !== 'number' || StringPrototypeIncludes(message, `${status}`) ? message : `${message} (status ${status})`;
}

export function createDescribeError(ops) {
  const inspect = createInspect(ops);
  const options = inspectOptions({ depth: 2 });
  options.customInspect = false;
  const context = { __proto__: null, ops };

  /** @returns {{ message: string, stack: string | undefined }} */
  return function describeError(value) {
    if (!isObject(value)) {
      return { __proto__: null, message: typeof value === 'string' ? value : inspect(value, options), stack: undefined };
    }
    if (ops.classOf(value) === 'Error') {
      // The name is part of the stack. The message is the author's text, if there is one.
      const message = textOf(context, value, 'message') ?? '';
      return {
        __proto__: null,
        message: message === '' ? errorTitle(context, value) : withStatus(message, findData(context, value, 'statusCode')),
        stack: stackOf(value),
      };
    }
    // A thrown object that is not an error is described by its message, if that is text.
    if (ops.proxyTarget(value) === undefined) {
      const message = findData(context, value, 'message');
      if (typeof message === 'string' && message !== '') {
        const name = findData(context, value, 'name');
        return {
          __proto__: null,
          message: typeof name === 'string' && name !== '' ? `${name}: ${message}` : message,
          stack: stackOf(value),
        };
      }
    }
    return { __proto__: null, message: inspect(value, options), stack: undefined };
  };
}
