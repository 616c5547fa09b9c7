// Threat: JSON.stringify of values that share structure and explode
// Expect: errored memory_limit
function main() {
  let value = ['xxxxxxxxxxxxxxxx'];
  for (let i = 0; i < 24; i++) value = [value, value];
  const keep = [];
  for (;;) { try { keep.push(JSON.stringify(value)); } catch { keep.push(new Array(100000).fill(i => i)); } }
}
