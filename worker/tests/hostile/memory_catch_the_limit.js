// Threat: catches every error of the limit and goes on allocating
// Expect: errored memory_limit
function main() {
  const keep = [];
  for (;;) { try { for (;;) keep.push(new Array(1000).fill(keep.length)); } catch { /* go on */ } }
}
