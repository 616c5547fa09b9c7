// Threat: bytes made by TextEncoder, outside the heap
// Expect: errored memory_limit
function main() {
  const encoder = new TextEncoder();
  const text = 'x'.repeat(1 << 20);
  const keep = [];
  for (;;) { try { keep.push(encoder.encode(text)); } catch { keep.push(new Array(10000).fill(0)); } }
}
