// Threat: pollution of arrays and their iterator
// Expect: completed [1,2]
// Log: info a b
function main() {
  Array.prototype[Symbol.iterator] = function* () { yield 'stolen'; };
  Array.prototype.push = () => 0;
  Array.prototype.map = () => ['stolen'];
  Array.prototype.join = () => 'stolen';
  Array.prototype.slice = () => ['stolen'];
  console.log('a', 'b');
  return [1, 2];
}
