// Threat: an iterator whose return() spins when the loop over it is left
// Expect: errored timeout
function main() {
  const endless = { [Symbol.iterator]() { return this; }, next: () => ({ value: 1, done: false }), return() { for (;;); } };
  for (const value of endless) return value;
}
