// Threat: pollution of Object.prototype changes the recorded result
// Expect: completed {"real":1}
// Log: info recorded
function main() {
  Object.prototype.toJSON = undefined;
  Object.defineProperty(Object.prototype, 'status', { get() { return 'hacked'; }, set() {}, configurable: true });
  Object.defineProperty(Object.prototype, 'level', { get() { return 'error'; }, set() {}, configurable: true });
  console.log('recorded');
  return { real: 1 };
}
