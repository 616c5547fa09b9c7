// Threat: a toJSON that leaves no JSON at all
// Expect: errored invalid_result
function main() {
  return { toJSON() { return undefined; } };
}
