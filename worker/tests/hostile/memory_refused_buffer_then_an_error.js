// Threat: an error of the script's own passes for the memory limit because a buffer was refused before
// Expect: errored script_error no luck
function main() {
  try { new ArrayBuffer(512 * 1024 * 1024); } catch { /* goes on without it */ }
  throw new Error('no luck');
}
