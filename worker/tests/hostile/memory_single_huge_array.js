// Threat: one allocation of a length that V8 aborts on
// Expect: errored memory_limit
function main() {
  const keep = [];
  for (;;) keep.push(new Array(2 ** 25).fill(1.5));
}
