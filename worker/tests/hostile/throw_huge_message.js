// Threat: an error message of many megabytes
// Expect: errored script_error
function main() {
  throw new Error('x'.repeat(20 * 1024 * 1024));
}
