// Threat: tries to catch the termination and go on
// Expect: errored timeout
function main() {
  for (;;) {
    try { for (;;); } catch { continue; }
  }
}
