// Threat: copies made by structuredClone
// Expect: errored memory_limit
function main() {
  const big = Array.from({ length: 100000 }, (_, i) => ({ i }));
  const keep = [];
  for (;;) keep.push(structuredClone(big));
}
