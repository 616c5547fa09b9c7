// Bundles the runtime into one classic script whose completion value is `bootstrap`.
//
//   node bundle.mjs MODULES OUT
//
// MODULES is a folder with the `node_modules` of package-lock.json. OUT is the file to write.

import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const [modules, out] = process.argv.slice(2).map((argument) => path.resolve(argument));
const source = path.dirname(fileURLToPath(import.meta.url));
const { build } = createRequire(path.join(modules, 'package.json'))('esbuild');

await build({
  absWorkingDir: source,
  entryPoints: ['src/bootstrap.js'],
  outfile: out,
  bundle: true,
  charset: 'utf8',
  conditions: ['browser'],
  format: 'cjs',
  legalComments: 'external',
  logLevel: 'warning',
  // Names are kept, because scripts see `setTimeout.name`.
  minifySyntax: true,
  minifyWhitespace: true,
  nodePaths: [path.join(modules, 'node_modules')],
  platform: 'browser',
  target: 'esnext',
  // In a function scope, so that nothing becomes a global.
  banner: { js: '(() => {"use strict";const module = { exports: {} };' },
  footer: { js: 'return module.exports.bootstrap;})()' },
});
