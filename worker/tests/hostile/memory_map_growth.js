// Threat: a Map grown until its table must be reallocated
// Expect: errored memory_limit
function main() {
  const map = new Map();
  for (let i = 0; ; i++) map.set(i, i);
}
