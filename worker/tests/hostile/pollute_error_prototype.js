// Threat: Error.prototype.toString and name are replaced
// Expect: errored script_error the truth
function main() {
  Error.prototype.toString = () => 'a lie';
  Object.defineProperty(Error.prototype, 'message', { get: () => 'a lie' });
  throw new Error('the truth');
}
