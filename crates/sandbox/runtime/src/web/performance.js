// performance.now: milliseconds since the start of the run.

import { DateNow, TypeError } from '../primordials.js';
import { EventTarget } from './events.js';
import { shapeInterface } from './idl.js';

const ours = {};
let ops;
export function connectPerformance(nativeOps) { ops = nativeOps; }

export class Performance extends EventTarget {
  /** Wall-clock time of the run's start, computed on first use because the snapshot is older than the run. */
  #origin = undefined;

  constructor(token) {
    if (token !== ours) throw new TypeError('Illegal constructor');
    super();
  }

  get timeOrigin() {
    this.#origin ??= DateNow() - ops.now();
    return this.#origin;
  }

  now() {
    void this.#origin;
    return ops.now();
  }

  toJSON() { return { timeOrigin: this.timeOrigin }; }
}
shapeInterface(Performance, 'Performance');
export const performance = new Performance(ours);
