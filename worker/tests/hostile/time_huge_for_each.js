// Threat: a built-in that visits a huge sparse length and never checks for termination
// Expect: errored timeout
function main() {
  return Array.prototype.forEach.call({ length: Number.MAX_SAFE_INTEGER }, () => {});
}
