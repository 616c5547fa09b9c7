// Threat: many small buffers, each far below any single limit
// Expect: errored memory_limit
function main() {
  const keep = [];
  for (;;) { try { keep.push(new Uint8Array(64 * 1024).fill(1)); } catch { keep.push(new Array(10000).fill(0)); } }
}
