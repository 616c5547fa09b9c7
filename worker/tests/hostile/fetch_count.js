// Threat: more requests than a run may make
// Expect: completed 51
async function main() {
  let refused = 0;
  for (let i = 0; i < 51; i++) await fetch('http://not-allowed.example/').catch(() => refused++);
  return refused;
}
