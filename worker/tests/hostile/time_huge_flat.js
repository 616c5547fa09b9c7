// Threat: a built-in that flattens a huge sparse length and never checks for termination
// Expect: errored timeout
function main() {
  return Array.prototype.flat.call({ length: Number.MAX_SAFE_INTEGER });
}
