// Threat: a getter that throws while the result is read
// Expect: errored invalid_result from the getter
function main() {
  return { get trap() { throw new Error('from the getter'); } };
}
