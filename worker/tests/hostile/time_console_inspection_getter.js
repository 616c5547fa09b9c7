// Threat: an object that spins when console inspects it
// Expect: completed "printed"
function main() {
  console.log({ get trap() { for (;;); } });
  console.log(new Proxy({}, { get() { for (;;); }, ownKeys() { for (;;); } }));
  return 'printed';
}
