// Threat: one console line of many megabytes
// Expect: completed "done"
function main() {
  console.log('x'.repeat(30 * 1024 * 1024));
  return 'done';
}
