// Threat: replaces Function.prototype.call, apply and bind
// Expect: completed "real"
// Log: info still here
async function main() {
  Function.prototype.call = () => 'stolen';
  Function.prototype.apply = () => 'stolen';
  Function.prototype.bind = () => () => 'stolen';
  console.log('still %s', 'here');
  await new Promise(resolve => setTimeout(resolve, 1));
  return 'real';
}
