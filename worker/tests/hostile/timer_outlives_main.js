// Threat: work left behind when main has settled
// Expect: completed "settled"
async function main() {
  setInterval(() => console.log('still here'), 1);
  setTimeout(() => { for (;;); }, 500);
  return 'settled';
}
