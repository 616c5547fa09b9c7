// Threat: Object.prototype.then makes every object a thenable
// Expect: completed "hijacked by the script itself"
function main() {
  Object.prototype.then = function (resolve) { delete Object.prototype.then; resolve('hijacked by the script itself'); };
  return {};
}
