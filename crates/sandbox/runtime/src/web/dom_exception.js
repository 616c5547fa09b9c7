// DOMException, based on a real Error so that it has a stack.

import {
  Error, ObjectDefineProperty, StringPrototypeIndexOf, StringPrototypeSlice, dataDescriptor,
} from '../primordials.js';
import { shapeInterface, toDOMString } from './idl.js';

/** Legacy codes by name. */
const LEGACY_CODES = {
  __proto__: null,
  IndexSizeError: 1, HierarchyRequestError: 3, WrongDocumentError: 4, InvalidCharacterError: 5,
  NoModificationAllowedError: 7, NotFoundError: 8, NotSupportedError: 9, InUseAttributeError: 10,
  InvalidStateError: 11, SyntaxError: 12, InvalidModificationError: 13, NamespaceError: 14, InvalidAccessError: 15,
  TypeMismatchError: 17, SecurityError: 18, NetworkError: 19, AbortError: 20, URLMismatchError: 21,
  QuotaExceededError: 22, TimeoutError: 23, InvalidNodeTypeError: 24, DataCloneError: 25,
};

const CONSTANTS = {
  __proto__: null,
  INDEX_SIZE_ERR: 1, DOMSTRING_SIZE_ERR: 2, HIERARCHY_REQUEST_ERR: 3, WRONG_DOCUMENT_ERR: 4, INVALID_CHARACTER_ERR: 5,
  NO_DATA_ALLOWED_ERR: 6, NO_MODIFICATION_ALLOWED_ERR: 7, NOT_FOUND_ERR: 8, NOT_SUPPORTED_ERR: 9,
  INUSE_ATTRIBUTE_ERR: 10, INVALID_STATE_ERR: 11, SYNTAX_ERR: 12, INVALID_MODIFICATION_ERR: 13, NAMESPACE_ERR: 14,
  INVALID_ACCESS_ERR: 15, VALIDATION_ERR: 16, TYPE_MISMATCH_ERR: 17, SECURITY_ERR: 18, NETWORK_ERR: 19, ABORT_ERR: 20,
  URL_MISMATCH_ERR: 21, QUOTA_EXCEEDED_ERR: 22, TIMEOUT_ERR: 23, INVALID_NODE_TYPE_ERR: 24, DATA_CLONE_ERR: 25,
};

/** Returns `{ name, message }` of a DOMException, `undefined` for any other value. Runs no code of a script. */
export let domExceptionFields;

export class DOMException extends Error {
  #name;
  #message;

  constructor(message = '', name = 'Error') {
    super();
    this.#message = toDOMString(message);
    // The second argument is a name or, in newer versions of the standard, options.
    if (typeof name === 'object' && name !== null) {
      this.#name = name.name === undefined ? 'Error' : toDOMString(name.name);
      if ('cause' in name) ObjectDefineProperty(this, 'cause', dataDescriptor(name.cause));
    } else {
      this.#name = toDOMString(name);
    }
    // The error has no own name and message with which V8 could start the stack.
    const stack = this.stack ?? '';
    const frames = StringPrototypeIndexOf(stack, '\n    at');
    const title = this.#message === '' ? this.#name : `${this.#name}: ${this.#message}`;
    const where = frames === -1 ? '' : StringPrototypeSlice(stack, frames);
    ObjectDefineProperty(this, 'stack', dataDescriptor(title + where));
  }

  get name() { return this.#name; }
  get message() { return this.#message; }
  get code() { return LEGACY_CODES[this.#name] ?? 0; }

  static {
    domExceptionFields = (value) => (
      #name in value ? { __proto__: null, name: value.#name, message: value.#message } : undefined
    );
  }
}
shapeInterface(DOMException, 'DOMException', CONSTANTS);
ObjectDefineProperty(DOMException, 'length', dataDescriptor(0, false));
