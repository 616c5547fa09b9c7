// Idempotency keys: the same call of the same execution has the same key in every attempt.
//
// A key is a digest of the execution, the call, and the number of earlier identical calls. So a second attempt that
// makes its calls in another order still gives each the same key. A call with other content never gets the key of an
// earlier call, to which a service would respond with the result of that one.

import {
  Map, MapPrototypeGet, MapPrototypeSet, NumberPrototypeToString, StringPrototypePadStart, Uint8Array,
} from '../primordials.js';

const KEY_BYTES = 16;

export function createIdempotencyKeys(ops, executionId) {
  const made = new Map();

  function digest(text) {
    const bytes = new Uint8Array(ops.digest('SHA-256', ops.utf8Encode(text)));
    let hex = '';
    for (let i = 0; i < KEY_BYTES; i += 1) hex += StringPrototypePadStart(NumberPrototypeToString(bytes[i], 16), 2, '0');
    return hex;
  }

  /** @param {string} body text of the body, or '' */
  return function keyOf(method, url, body) {
    const call = digest(`${executionId}\n${method}\n${url}\n${body}`);
    const before = MapPrototypeGet(made, call) ?? 0;
    MapPrototypeSet(made, call, before + 1);
    return digest(`${call}\n${before}`);
  };
}
