// Threat: a microtask that would keep a run from ending when main has settled
// Expect: completed "settled"
function main() {
  Promise.resolve().then(() => { for (;;); });
  return 'settled';
}
