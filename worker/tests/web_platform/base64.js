const btoas = [['', ''], ['a', 'YQ=='], ['ab', 'YWI='], ['abc', 'YWJj'], ['\xff\xfe', '//4='], ['\0', 'AA=='], [null, 'bnVsbA=='], [12, 'MTI=']];
for (const [input, output] of btoas) {
  test(`btoa(${JSON.stringify(input)})`, () => equal(btoa(input), output));
  test(`atob(${output})`, () => equal(atob(output), String(input)));
}
test('every byte goes round', () => {
  let all = '';
  for (let i = 0; i < 256; i += 1) all += String.fromCharCode(i);
  equal(atob(btoa(all)), all);
});
test('btoa refuses what is no byte', () => throws('InvalidCharacterError', () => btoa('€')));
for (const [input, output] of [
  [' YQ = =\t\n\f\r', 'a'], ['YQ', 'a'], ['YWI', 'ab'], ['', ''], [' ', ''], ['YWJj', 'abc'], ['/+8=', '\xff\xef'], [null, '\x9e\xe9e'],
]) test(`atob(${JSON.stringify(input)}) is forgiving`, () => equal(atob(input), output));
for (const input of ['Y', 'YQ=', 'YQ===', 'YQ==Y', '=', '==', 'Y=Q=', 'YWJj=', 'Y Q', 'YQ-_', 'ü', 'YWI==', undefined, '\u00a0YQ==']) {
  const valid = input === 'Y Q' || input === undefined;
  test(`atob(${JSON.stringify(input)}) ${valid ? 'is read' : 'throws'}`, () => {
    if (valid) {
      if (input === undefined) throws('InvalidCharacterError', () => atob(input)); else equal(atob(input), 'a');
    } else throws('InvalidCharacterError', () => atob(input));
  });
}
test('both need an argument', () => {
  throws(TypeError, () => atob());
  throws(TypeError, () => btoa());
});
test('a megabyte goes round', () => {
  const text = 'x\xe9'.repeat(500_000);
  assert(atob(btoa(text)) === text);
});
