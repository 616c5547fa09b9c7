// Threat: an async generator consumed without end
// Expect: errored timeout
async function main() {
  async function* endless() { for (;;) yield 1; }
  for await (const value of endless()) { if (value === 2) return value; }
}
