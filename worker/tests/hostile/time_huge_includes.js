// Threat: a built-in that searches a huge sparse length and never checks for termination
// Expect: errored timeout
function main() {
  return Array.prototype.includes.call({ length: Number.MAX_SAFE_INTEGER }, 1);
}
