// Threat: a chain of microtasks that never lets the event loop turn
// Expect: errored timeout
function main() {
  const again = () => Promise.resolve().then(again);
  return again();
}
