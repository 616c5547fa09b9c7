// Threat: spins inside a comparator called by a built-in
// Expect: errored timeout
function main() {
  return [3, 1, 2].sort(() => { for (;;); });
}
