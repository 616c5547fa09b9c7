// Threat: floods microtasks from the top level
// Expect: errored timeout
const again = () => { Promise.resolve().then(again); };
again();
async function main() { await new Promise(() => {}); }
