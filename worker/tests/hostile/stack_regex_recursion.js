// Threat: a regular expression nested too deep
// Expect: completed true
function main() {
  try { new RegExp('('.repeat(100000) + ')'.repeat(100000)); return false; } catch { return true; }
}
