// Threat: throws outside the call of main
// Expect: errored script_error from a timer
async function main() {
  setTimeout(() => { throw new Error('from a timer'); }, 5);
  await new Promise(resolve => setTimeout(resolve, 200));
  return 'unharmed';
}
