// Threat: toJSON spins when the result is turned into JSON
// Expect: errored timeout
function main() {
  return { toJSON() { for (;;); } };
}
