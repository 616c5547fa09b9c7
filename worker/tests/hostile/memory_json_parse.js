// Threat: JSON.parse that builds more than the limit
// Expect: errored memory_limit
function main() {
  const text = '[' + '{"a":[1,2,3]},'.repeat(300000) + '0]';
  const keep = [];
  for (;;) keep.push(JSON.parse(text));
}
