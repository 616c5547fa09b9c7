// Threat: delays that are not numbers, negative, or beyond any integer
// Expect: completed "fired 6"
async function main() {
  let fired = 0;
  const delays = [NaN, -5, -Infinity, '1', null, undefined];
  await Promise.all(delays.map(delay => new Promise(resolve => setTimeout(() => { fired++; resolve(); }, delay))));
  setTimeout(() => {}, 2 ** 53);
  return 'fired ' + fired;
}
