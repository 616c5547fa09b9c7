// Warm-up of common code paths while the snapshot is made, so that their compiled code is part of it.
//
// Otherwise the first calls of each run would also compile the runtime. On the development machine the first call of
// Plane went from 6 to 1.2 ms, the first fetch from 8 to 0.3 ms and the first console line from 1 to 0.4 ms, for 120 KB
// more of snapshot. Only code may remain: the ops have no effect before a run has started, and everything started here
// also ends here.

import { Error, Map, Promise, PromisePrototypeThen, Set, Uint8Array } from './primordials.js';

/** Response of the network, in the form in which Rust passes it. */
const answerOf = (status, json) => ({
  __proto__: null, status, statusText: 'OK', url: 'http://snapshot.invalid/', redirected: false,
  headers: ['content-type', 'application/json'], body: json,
});

export function warmUp({ globals, host, createClient, answerPlane, encode }) {
  const { console, fetch, setTimeout, clearTimeout, URL, Headers, Request, Response, structuredClone, AbortController } = globals;
  const json = () => new Uint8Array(encode('{"id":1,"results":[]}')).buffer;

  console.log('%s %d %j %o', 'text', 1, {}, [], { a: [1, 'b', { c: new Map([[1, new Set([2])]]) }], e: new Error('x') });
  console.error(new Error('x'), [1, 2, 3, 4, 5, 6, 7, 8], 'a\nb', undefined, null, 1n);
  host.describeError(new Error('x'));
  host.describeError('text');

  const url = new URL('http://snapshot.invalid/?a=b');
  url.searchParams.set('c', 'd');
  const headers = new Headers({ a: 'b' });
  headers.get('a');
  new Request(url, { method: 'POST', body: '{}', headers });
  new Response('{}').json();
  structuredClone({ a: [1] });
  globals.atob(globals.btoa('text'));
  new globals.TextDecoder().decode(new globals.TextEncoder().encode('text'));
  globals.crypto.randomUUID();
  const controller = new AbortController();
  controller.signal.addEventListener('abort', () => {});
  controller.abort();

  const timer = setTimeout(() => {}, 1);
  host.timerFired(timer);
  clearTimeout(setTimeout(() => {}, 1));

  // The ids of fetches start at 1.
  const answers = [fetch(url), fetch(url, { method: 'POST', body: 'x' })];
  for (let id = 1; id <= answers.length; id += 1) {
    const { status, statusText, url: address, redirected, headers: flat, body } = answerOf(200, json());
    host.fetchDone(id, null, status, statusText, address, redirected, flat, body);
    PromisePrototypeThen(answers[id - 1], (response) => response.json());
  }

  // Starts a run on a temporary global object.
  const temporary = { __proto__: null };
  host.start({
    __proto__: null, ENV: { a: 'b' }, Variables: { a: 1 }, workspaceSlug: 'w', Functions: {},
    apiBaseUrl: 'http://snapshot.invalid', executionId: 'snapshot', timeoutMs: 0,
  }, temporary).Plane.workItems;
  temporary.Plane = temporary.Plane;

  const client = createClient({
    __proto__: null, apiBaseUrl: 'http://snapshot.invalid', executionId: 'snapshot', timeoutMs: 0,
  });
  const then = (work) => PromisePrototypeThen(Promise.resolve(), work);
  answerPlane(() => answerOf(200, json()));
  const ignore = () => {};
  then(() => PromisePrototypeThen(client.workItems.list('w', 'p', { per_page: 1, expand: ['a'] }), () => {
    PromisePrototypeThen(client.workItems.create('w', 'p', { name: 'x' }), () => {
      answerPlane(() => answerOf(404, json()));
      PromisePrototypeThen(client.projects.list('w'), ignore, (error) => {
        host.describeError(error);
        answerPlane(undefined);
      });
    });
  }));
}
