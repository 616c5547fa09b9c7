// Threat: a resizable buffer grown past the limit
// Expect: completed "RangeError"
function main() {
  try {
    const buffer = new ArrayBuffer(1024, { maxByteLength: 1024 * 1024 * 1024 });
    buffer.resize(900 * 1024 * 1024);
    new Uint8Array(buffer).fill(1);
    return 'allocated';
  } catch (error) { return error.name; }
}
