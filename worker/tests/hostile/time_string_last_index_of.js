// Threat: quadratic search inside one built-in call, again and again
// Expect: errored timeout
function main() {
  const hay = 'a'.repeat(2 ** 24);
  const needle = 'b' + 'a'.repeat(2 ** 12);
  let found = 0;
  for (;;) found += hay.lastIndexOf(needle);
}
