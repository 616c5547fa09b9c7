// Threat: catastrophic backtracking inside the regular expression engine
// Expect: errored timeout
function main() {
  return /^(a+)+$/.test('a'.repeat(60) + 'b');
}
