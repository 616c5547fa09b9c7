// Threat: JSON.parse of hostile nesting
// Expect: completed true
function main() {
  try { JSON.parse('['.repeat(200000)); return false; } catch { return true; }
}
