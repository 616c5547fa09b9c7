// Threat: a thenable result that never settles
// Expect: errored timeout
function main() {
  setInterval(() => {}, 20);
  return { then() {} };
}
