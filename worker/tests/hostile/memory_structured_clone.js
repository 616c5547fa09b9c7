// Threat: copies made by structuredClone
// Expect: errored memory_limit
// Timeout: 60000
function main() {
  const big = Array.from({ length: 100000 }, (_, i) => ({ i }));
  const keep = [];
  for (;;) keep.push(structuredClone(big));
}
