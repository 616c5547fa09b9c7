// Threat: resizable buffers, which the sandbox's allocator does not see, each within the limit
// Expect: errored memory_limit
function main() {
  const keep = [];
  for (;;) {
    try {
      const buffer = new ArrayBuffer(0, { maxByteLength: 64 * 1024 * 1024 });
      buffer.resize(20 * 1024 * 1024);
      new Uint8Array(buffer).fill(1);
      keep.push(buffer);
    } catch { keep.push(new Array(10000).fill(0)); }
  }
}
