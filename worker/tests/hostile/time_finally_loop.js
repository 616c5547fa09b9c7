// Threat: refuses to stop, with loops in finally blocks
// Expect: errored timeout
function main() {
  try { for (;;); } finally { for (;;); }
}
