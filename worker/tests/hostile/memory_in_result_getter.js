// Threat: allocates while the result is read
// Expect: errored memory_limit
function main() {
  return { get trap() { const keep = []; for (;;) keep.push({ keep: [1, 2, 3] }); } };
}
