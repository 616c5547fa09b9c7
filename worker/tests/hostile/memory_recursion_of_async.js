// Threat: async recursion without end
// Expect: errored memory_limit
async function main() {
  async function deeper(level) { await null; return deeper(level + 1).then(value => value + level); }
  return deeper(0);
}
