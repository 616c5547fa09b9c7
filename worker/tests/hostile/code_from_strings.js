// Threat: code from strings, in each of its forms
// Expect: completed [true,true,true,true]
async function main() {
  const refused = make => { try { make(); return false; } catch { return true; } };
  const evaluate = globalThis['ev' + 'al'];
  const kinds = [function () {}, async function () {}, function* () {}].map(f => Object.getPrototypeOf(f)['constr' + 'uctor']);
  return [refused(() => evaluate('1')), ...kinds.map(kind => refused(() => kind('return 1')()))];
}
