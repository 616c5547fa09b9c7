// Threat: the last lines before the limit must be kept
// Expect: errored memory_limit
// Log: info last words
function main() {
  console.log('last words');
  const keep = [];
  for (;;) keep.push(new Array(2 ** 22).fill(keep.length + 0.5));
}
