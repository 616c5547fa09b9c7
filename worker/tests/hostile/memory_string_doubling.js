// Threat: strings that double, flattened
// Expect: errored memory_limit
function main() {
  const keep = [];
  for (;;) { let text = 'x'.repeat(1 << 20) + keep.length; text.charCodeAt(3); JSON.stringify(text); keep.push(text.split('').join('-')); }
}
