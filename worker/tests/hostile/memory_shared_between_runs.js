// Threat: leaves something for the next run in the same process
// Expect: completed "clean"
function main() {
  if (globalThis.leftover || Object.prototype.leftover || Array.leftover) return 'found a leftover';
  globalThis.leftover = Object.prototype.leftover = Array.leftover = 1;
  return 'clean';
}
