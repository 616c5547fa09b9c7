// What the runtime's own classes show when inspected. Each class registers itself; brand checks are private fields,
// so that no look-alike and no subclass trick decides what is shown.

import { newList } from '../primordials.js';

const registered = newList();

/**
 * @param {(value: object) => boolean} isInstance brand check
 * @param {(value: object) => { name: string, entries: unknown[], arrow?: boolean }} fields key, value, key, value …
 */
export function showAs(isInstance, fields) {
  registered[registered.length] = { __proto__: null, isInstance, fields };
}

export function webFields(object) {
  for (let i = 0; i < registered.length; i += 1) {
    if (registered[i].isInstance(object)) return registered[i].fields(object);
  }
  return undefined;
}

/** Entries of an object literal, as `fields` wants them. */
export function list(...pairs) {
  const entries = newList();
  for (let i = 0; i < pairs.length; i += 1) entries[i] = pairs[i];
  return entries;
}
