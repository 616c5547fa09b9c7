// Globals of one run: `Plane`, `Functions`, `ENV`, `Variables`, `workspaceSlug`, and the argument `env` of `main`.

import { ObjectDefineProperty, ReflectOwnKeys, accessorDescriptor, dataDescriptor } from './primordials.js';

/** @param {(run: object) => object} createClient makes `Plane` */
export function createRunGlobals(createClient) {
  /** Installs the run's globals on `globals` and returns the second argument of `main`. */
  return function start(run, globals) {
    const { ENV, Variables, workspaceSlug, Functions, apiBaseUrl, executionId, timeoutMs } = run;
    const named = { __proto__: null, Functions, ENV, Variables, workspaceSlug };
    const env = {};
    // The variables are enumerable keys of `env`. The names of the destructured form are added, and take precedence.
    const variables = ReflectOwnKeys(Variables);
    for (let i = 0; i < variables.length; i += 1) {
      ObjectDefineProperty(env, variables[i], dataDescriptor(Variables[variables[i]], true, true));
    }
    const names = ReflectOwnKeys(named);
    for (let i = 0; i < names.length; i += 1) {
      ObjectDefineProperty(globals, names[i], dataDescriptor(named[names[i]]));
      ObjectDefineProperty(env, names[i], dataDescriptor(named[names[i]]));
    }
    // The client is created on first use, because many scripts never call Plane.
    let client;
    const lazily = (target) => {
      const { get, set } = {
        get: { Plane() {
          client ??= createClient({ __proto__: null, apiBaseUrl, executionId, timeoutMs });
          return client;
        } }.Plane,
        set: { Plane(value) { ObjectDefineProperty(target, 'Plane', dataDescriptor(value)); } }.Plane,
      };
      ObjectDefineProperty(target, 'Plane', accessorDescriptor(get, set));
    };
    lazily(globals);
    lazily(env);
    return env;
  };
}
