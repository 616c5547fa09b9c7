// Threat: a key that is not Unicode
// Expect: completed {"\ufffd":1}
function main() {
  return { ['\udc00']: 1 };
}
