// Threat: an array that grows without end
// Expect: errored memory_limit
function main() {
  const keep = [];
  for (;;) keep.push({ a: 1, b: [1, 2, 3] });
}
