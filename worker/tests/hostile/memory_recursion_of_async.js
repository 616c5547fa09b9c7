// Threat: async recursion without end
// Expect: errored memory_limit
// Timeout: 60000
async function main() {
  async function deeper(level) { await null; return deeper(level + 1).then(value => value + level); }
  return deeper(0);
}
