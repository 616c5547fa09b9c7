// Threat: reaches the machine itself
// Expect: completed ["TypeError","TypeError","TypeError","TypeError"]
async function main() {
  const names = [];
  for (const url of ['http://127.0.0.1/', 'http://[::1]/', 'http://2130706433/', 'http://0x7f.1/']) {
    try { await fetch(url); names.push('reached'); } catch (error) { names.push(error.name); }
  }
  return names;
}
