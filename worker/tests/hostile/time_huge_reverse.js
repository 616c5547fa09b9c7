// Threat: reverse over a huge length
// Expect: errored timeout
function main() {
  return Array.prototype.reverse.call({ length: Number.MAX_SAFE_INTEGER });
}
