// Threat: replaces the functions that text handling calls
// Expect: completed "real"
// Log: info value 5
function main() {
  String.prototype.replace = () => 'stolen';
  String.prototype.slice = () => 'stolen';
  String.prototype.split = () => ['stolen'];
  RegExp.prototype.exec = () => { throw new Error('exec'); };
  RegExp.prototype[Symbol.replace] = () => 'stolen';
  console.log('value %d', 5);
  return 'real';
}
