// Threat: an unhandled rejection must be reported, and must not change a good result
// Expect: completed "done"
// Log: error forgotten
async function main() {
  Promise.reject(new Error('forgotten'));
  await new Promise(resolve => setTimeout(resolve, 5));
  return 'done';
}
