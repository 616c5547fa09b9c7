// Runs one script through API, queue, worker and isolate, and prints what came of it. A client like any other: it
// knows the HTTP contract and nothing else. Needs API_URL and API_KEY.
import { readFile } from 'node:fs/promises';

const { API_URL, API_KEY } = process.env;
const source = (name) => readFile(new URL(name, import.meta.url), 'utf8');

async function call(method, path, body) {
  const response = await fetch(`${API_URL}/api/v1/runnerctl${path}`, {
    method,
    headers: { 'X-Api-Key': API_KEY, 'Content-Type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

/** Creates the resource, or updates the one of that name that an earlier start left. */
async function save(collection, resource) {
  const { results } = await call('GET', `${collection}?search=${encodeURIComponent(resource.name)}`);
  const old = results.find(({ name, is_system }) => name === resource.name && !is_system);
  return old ? call('PATCH', `${collection}${old.id}/`, resource) : call('POST', collection, resource);
}

async function terminal(execution) {
  const deadline = Date.now() + 60_000;
  while (!['completed', 'errored', 'cancelled'].includes(execution.status)) {
    if (Date.now() > deadline) throw new Error(`execution ${execution.id} is still ${execution.status} after 60 s`);
    execution = await call('GET', `/executions/${execution.id}/?wait=20`);
  }
  return execution;
}

await save('/functions/', {
  name: 'hoursBetween',
  description: 'Whole hours between two moments.',
  category: 'utils',
  code: await source('first-function.ts'),
});
const code = await source('first-script.ts');
const script = await save('/scripts/', {
  name: 'First script',
  description: 'Run by make dev.',
  code_type: 'main_fn',
  trigger_type: 'automation',
  code,
});
const posted = performance.now();
const execution = await terminal(
  await call('POST', '/executions/', {
    script_id: script.id,
    trigger_type: 'automation',
    event: {
      event_type: 'work_item.updated',
      entity_type: 'work_item',
      timestamp: '2025-06-05T16:00:00Z',
      payload: {
        data: { name: 'Fix the login page' },
        previous_attributes: { state: { name: 'In Progress', entered_at: '2025-06-03T09:00:00Z' } },
      },
    },
    context: {},
    variables: { patience_hours: 48 },
  }),
);
const round_trip = performance.now() - posted;

const indent = (text) => text.trimEnd().replace(/^/gm, '    ');
const ms = (value) => (value == null ? '-' : `${value.toFixed(1)} ms`);
const { queue_ms, init_ms, run_ms, persist_ms } = execution.phases ?? {};
console.log(`
  The first script
${indent(code)}

  status    ${execution.status}   (execution ${execution.id}, attempt ${execution.attempt})
  result    ${JSON.stringify(execution.result)}${execution.error ? `\n  error     ${JSON.stringify(execution.error)}` : ''}
  logs
${execution.logs.map(({ seq, level, message }) => `    ${seq}  ${level.padEnd(5)}  ${message}`).join('\n')}
  timings   queue ${ms(queue_ms)}, init ${ms(init_ms)}, run ${ms(run_ms)}, persist ${ms(persist_ms)}; POST to result ${ms(round_trip)}
`);
if (execution.status !== 'completed') process.exit(1);
