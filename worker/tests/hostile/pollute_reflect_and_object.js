// Threat: replaces Reflect and Object's statics
// Expect: completed "real"
// Log: info { a: 1 }
function main() {
  for (const name of Object.getOwnPropertyNames(Reflect)) Reflect[name] = () => 'stolen';
  for (const name of ['keys', 'entries', 'defineProperty', 'getOwnPropertyDescriptor', 'getPrototypeOf', 'create', 'freeze']) Object[name] = () => 'stolen';
  console.log({ a: 1 });
  return 'real';
}
