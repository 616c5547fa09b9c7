// Threat: replaces what promises are settled with
// Expect: completed "real"
async function main() {
  Promise.prototype.then = function (resolve) { resolve('stolen'); };
  Promise.resolve = () => 'stolen';
  await null;
  return 'real';
}
