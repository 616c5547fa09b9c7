// Threat: replaces the functions that settle promises
// Expect: completed "real"
async function main() {
  Promise.prototype.then = function (resolve) { resolve('stolen'); };
  Promise.resolve = () => 'stolen';
  await null;
  return 'real';
}
