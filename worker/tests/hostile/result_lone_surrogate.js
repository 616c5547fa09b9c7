// Threat: text that is not Unicode
// Expect: completed ["\ufffd","ok"]
function main() {
  return ['\ud800', 'ok'];
}
