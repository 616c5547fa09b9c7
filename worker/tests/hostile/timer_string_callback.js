// Threat: a timer with code as a string
// Expect: completed "TypeError"
function main() {
  try { setTimeout('globalThis.hacked = 1', 1); return 'accepted'; } catch (error) { return error.name; }
}
