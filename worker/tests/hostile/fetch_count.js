// Threat: more requests than a run may make
// Expect: completed ["Domain not allowed: not-allowed.example","fetch limit of 50 requests per execution reached"]
async function main() {
  const refusals = [];
  for (let i = 0; i < 51; i++) await fetch('http://not-allowed.example/').catch(error => refusals.push(error.message));
  return refusals.slice(49);
}
