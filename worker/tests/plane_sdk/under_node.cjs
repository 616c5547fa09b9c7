// Reference: the SDK as published, with Node's own HTTP. `node under_node.cjs MODULES BASE_URL TOKEN`.

const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const [modules, baseUrl, apiKey] = process.argv.slice(2);
const { PlaneClient } = require(path.join(modules, 'node_modules/@makeplane/plane-node-sdk'));
vm.runInThisContext(fs.readFileSync(path.join(__dirname, 'calls.js'), 'utf8'));
callAll(new PlaneClient({ baseUrl, apiKey })).then((outcomes) => process.stdout.write(JSON.stringify(outcomes)));
