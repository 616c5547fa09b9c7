// Threat: headers that would not fit into a frame to the supervisor
// Expect: completed ["TypeError","still here"]
async function main() {
  const headers = {};
  for (let i = 0; i < 250; i++) headers['x-' + i] = 'a'.repeat(60000);
  const refusal = await fetch('http://not-allowed.example/', { headers }).catch(error => error.name);
  return [refusal, 'still here'];
}
