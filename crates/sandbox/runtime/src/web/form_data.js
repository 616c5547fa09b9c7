// FormData of the XMLHttpRequest standard.

import { TypeError, newList } from '../primordials.js';
import { showAs } from '../console/web_fields.js';
import { fileFrom, isBlob, isFile } from './blob.js';
import { isObject, requireArguments, shapeInterface, toArray, toUSVString } from './idl.js';
import { makeIterable } from './iterators.js';

/** Converts a value to the value of an entry: a string or a File. */
function toEntry(value, given, filename, what) {
  if (isBlob(value)) {
    if (isFile(value) && filename === undefined) return value;
    return fileFrom(value, filename === undefined ? 'blob' : toUSVString(filename), isFile(value) ? value.lastModified : undefined);
  }
  if (given > 2) throw new TypeError(`${what}: a file name goes with a Blob only.`);
  return toUSVString(value);
}

export let isFormData;
/** Flat list of entries, [name, value] alternating. */
export let formDataEntries;
export let formDataFrom;
let pairAt;

export class FormData {
  #entries = newList();

  constructor(form = undefined) {
    if (form !== undefined) throw new TypeError('FormData: there are no forms here; the argument must be absent.');
  }

  append(name, value, filename = undefined) {
    requireArguments(arguments.length, 2, 'FormData.append');
    const key = toUSVString(name);
    const entry = toEntry(value, arguments.length, filename, 'FormData.append');
    const entries = this.#entries;
    entries[entries.length] = key;
    entries[entries.length] = entry;
  }

  delete(name) {
    requireArguments(arguments.length, 1, 'FormData.delete');
    const key = toUSVString(name);
    const kept = newList();
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i += 2) {
      if (entries[i] === key) continue;
      kept[kept.length] = entries[i];
      kept[kept.length] = entries[i + 1];
    }
    this.#entries = kept;
  }

  get(name) {
    requireArguments(arguments.length, 1, 'FormData.get');
    const key = toUSVString(name);
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i += 2) if (entries[i] === key) return entries[i + 1];
    return null;
  }

  getAll(name) {
    requireArguments(arguments.length, 1, 'FormData.getAll');
    const key = toUSVString(name);
    const found = newList();
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i += 2) if (entries[i] === key) found[found.length] = entries[i + 1];
    return toArray(found);
  }

  has(name) {
    requireArguments(arguments.length, 1, 'FormData.has');
    const key = toUSVString(name);
    const entries = this.#entries;
    for (let i = 0; i < entries.length; i += 2) if (entries[i] === key) return true;
    return false;
  }

  set(name, value, filename = undefined) {
    requireArguments(arguments.length, 2, 'FormData.set');
    const key = toUSVString(name);
    const entry = toEntry(value, arguments.length, filename, 'FormData.set');
    const kept = newList();
    const entries = this.#entries;
    let found = false;
    for (let i = 0; i < entries.length; i += 2) {
      const isKey = entries[i] === key;
      if (isKey && found) continue;
      kept[kept.length] = entries[i];
      kept[kept.length] = isKey ? entry : entries[i + 1];
      found ||= isKey;
    }
    if (!found) {
      kept[kept.length] = key;
      kept[kept.length] = entry;
    }
    this.#entries = kept;
  }

  static {
    isFormData = (value) => isObject(value) && #entries in value;
    formDataEntries = (form) => form.#entries;
    formDataFrom = (entries) => {
      const form = new FormData();
      form.#entries = entries;
      return form;
    };
    pairAt = (form, index) => {
      const entries = form.#entries;
      const i = index * 2;
      return i < entries.length ? { __proto__: null, key: entries[i], value: entries[i + 1] } : undefined;
    };
  }
}
shapeInterface(FormData, 'FormData');
makeIterable(FormData, 'FormData', pairAt);
showAs(isFormData, (form) => ({ __proto__: null, name: 'FormData', entries: formDataEntries(form) }));
