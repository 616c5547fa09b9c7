// Threat: Error.prepareStackTrace runs when an error is recorded
// Expect: errored script_error the truth
function main() {
  Error.prepareStackTrace = () => { for (;;); };
  Error.stackTraceLimit = 1e9;
  throw new Error('the truth');
}
