// Threat: a built-in that walks a huge sparse length and never checks for termination
// Expect: errored timeout
function main() {
  return Array.prototype.indexOf.call({ length: Number.MAX_SAFE_INTEGER }, 1);
}
