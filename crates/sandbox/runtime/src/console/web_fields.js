// Inspected fields of the runtime's own classes. Each class registers itself. Brand checks use private fields, so that
// scripts cannot imitate an instance.

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

/** Makes the flat list of entries that `fields` returns. */
export function list(...pairs) {
  const entries = newList();
  for (let i = 0; i < pairs.length; i += 1) entries[i] = pairs[i];
  return entries;
}
