// Processor time of a run in isolated-vm, with the Plane SDK in the snapshot: a fresh isolate each, one after another.
//
//   npm ci && node --no-node-snapshot isolated_vm.mjs [RUNS]

import { performance } from 'node:perf_hooks';
import esbuild from 'esbuild';
import ivm from 'isolated-vm';

const RUNS = Number(process.argv[2] ?? 500);
const MEMORY_MB = 128;
const SCRIPT = 'async function main() { return 1; }';

/** Returns the SDK as a classic script. An isolate has no web interfaces, so those that its load reads are stood in for. */
async function sdk() {
  const { outputFiles } = await esbuild.build({
    stdin: {
      contents: "import { PlaneClient } from '@makeplane/plane-node-sdk'; globalThis.PlaneClient = PlaneClient;",
      resolveDir: import.meta.dirname,
    },
    bundle: true,
    conditions: ['browser'],
    format: 'iife',
    minify: true,
    platform: 'browser',
    target: 'esnext',
    write: false,
    banner: { js: 'globalThis.URL ??= class URL {}; globalThis.URLSearchParams ??= class URLSearchParams {};' },
  });
  return outputFiles[0].text;
}

async function run(snapshot) {
  const isolate = new ivm.Isolate({ memoryLimit: MEMORY_MB, snapshot });
  const context = await isolate.createContext();
  const main = await context.eval(`(${SCRIPT})`, { reference: true });
  const result = await main.apply(undefined, [], { result: { promise: true, copy: true }, timeout: 1000 });
  isolate.dispose();
  if (result !== 1) throw new Error(`the script returned ${result}`);
}

const code = await sdk();
const snapshot = ivm.Isolate.createSnapshot([{ code }]);
for (let i = 0; i < 20; i += 1) await run(snapshot);
const times = [];
const before = process.cpuUsage();
for (let i = 0; i < RUNS; i += 1) {
  const began = performance.now();
  await run(snapshot);
  times.push(performance.now() - began);
}
const { user, system } = process.cpuUsage(before);
times.sort((a, b) => a - b);
const at = (share) => times[Math.floor(times.length * share)].toFixed(2);
console.log(`isolated-vm, SDK of ${Math.round(code.length / 1024)} KiB: ${RUNS} runs`);
console.log(`  ${((user + system) / 1000 / RUNS).toFixed(2)} ms of processor time per run; wall p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`);
