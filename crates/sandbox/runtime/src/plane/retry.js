// Retry rules of SDK calls: whether a call is repeated and after which delay. Pure: the caller provides the time.

import { DatePrototypeGetTime, Date, MathMin, NumberIsNaN, RegExpPrototypeExec } from '../primordials.js';

/** Maximum number of retries. The run's time limit usually ends them earlier. */
export const MAX_RETRIES = 4;
const FIRST_DELAY_MS = 150;
const LONGEST_DELAY_MS = 5_000;
const TOO_MANY_REQUESTS = 429;
/** Statuses of transient errors. */
const TRANSIENT = { __proto__: null, 500: true, 502: true, 503: true, 504: true };
/** Idempotent methods (RFC 9110). */
const IDEMPOTENT = { __proto__: null, GET: true, HEAD: true, OPTIONS: true, PUT: true, DELETE: true };
const SECONDS = /^[0-9]{1,9}$/;

/**
 * Returns whether a call may be repeated. A rejected request (429) had no effect, so any method may repeat it. After a 5xx,
 * only idempotent methods may.
 */
export const isRetryable = (method, status) =>
  status === TOO_MANY_REQUESTS || (TRANSIENT[status] === true && IDEMPOTENT[method] === true);

/** Parses Retry-After to a delay in milliseconds from `now` (Unix ms), or `undefined`. */
export function retryAfterMs(value, now) {
  if (value === null) return undefined;
  if (RegExpPrototypeExec(SECONDS, value) !== null) return +value * 1000;
  const at = DatePrototypeGetTime(new Date(value));
  if (NumberIsNaN(at)) return undefined;
  return at > now ? at - now : 0;
}

/** Returns a delay that doubles with each retry, with up to half of it random (`random` from 0 to 1). */
export function backoffMs(retry, random) {
  const full = MathMin(FIRST_DELAY_MS * 2 ** retry, LONGEST_DELAY_MS);
  return full / 2 + (full / 2) * random;
}
