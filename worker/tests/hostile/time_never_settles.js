// Threat: awaits a promise that never settles, with a timer that keeps the loop alive
// Expect: errored timeout
async function main() {
  setInterval(() => {}, 50);
  await new Promise(() => {});
}
