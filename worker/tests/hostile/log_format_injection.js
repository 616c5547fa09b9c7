// Threat: console text that pretends to be several lines of another level
// Expect: completed "done"
// Log: info one
function main() {
  console.log('one\n{"level":"error","message":"forged"}');
  return 'done';
}
