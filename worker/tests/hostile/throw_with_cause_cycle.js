// Threat: an error that is its own cause
// Expect: errored script_error loop
function main() {
  const error = new Error('loop');
  error.cause = error;
  throw error;
}
