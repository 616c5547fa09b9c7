// When a call of the SDK is tried again, and how long it waits. Pure: the caller holds the clock.

import { DatePrototypeGetTime, Date, MathMin, NumberIsNaN, RegExpPrototypeExec } from '../primordials.js';

/** Tries after the first; the run's time usually ends the series earlier. */
export const MAX_RETRIES = 4;
const FIRST_DELAY_MS = 150;
const LONGEST_DELAY_MS = 5_000;
const TOO_MANY_REQUESTS = 429;
/** Answers that a second try may better. */
const TRANSIENT = { __proto__: null, 500: true, 502: true, 503: true, 504: true };
/** RFC 9110: repeating these does what doing them once does. */
const IDEMPOTENT = { __proto__: null, GET: true, HEAD: true, OPTIONS: true, PUT: true, DELETE: true };
const SECONDS = /^[0-9]{1,9}$/;

/** A refused request (429) was not carried out, so any call may repeat it; a 5xx says nothing of the kind. */
export const isRetryable = (method, status) =>
  status === TOO_MANY_REQUESTS || (TRANSIENT[status] === true && IDEMPOTENT[method] === true);

/** What Retry-After asks for, in milliseconds from `now` (Unix ms), or `undefined`. */
export function retryAfterMs(value, now) {
  if (value === null) return undefined;
  if (RegExpPrototypeExec(SECONDS, value) !== null) return +value * 1000;
  const at = DatePrototypeGetTime(new Date(value));
  if (NumberIsNaN(at)) return undefined;
  return at > now ? at - now : 0;
}

/** Doubles from try to try, with up to half of it left to chance (`random` from 0 to 1). */
export function backoffMs(retry, random) {
  const full = MathMin(FIRST_DELAY_MS * 2 ** retry, LONGEST_DELAY_MS);
  return full / 2 + (full / 2) * random;
}
