// Threat: a result JSON has no form for
// Expect: errored invalid_result
function main() {
  return { amount: 10n };
}
