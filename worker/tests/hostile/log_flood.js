// Threat: a flood of console lines
// Expect: completed "done"
// Log: warn truncated
function main() {
  for (let i = 0; i < 200000; i++) console.log('line ' + i);
  return 'done';
}
