// Threat: promises that never settle and hold what they close over
// Expect: errored memory_limit
async function main() {
  const keep = [];
  for (;;) { keep.push(new Promise(() => {}).then(() => keep)); }
}
