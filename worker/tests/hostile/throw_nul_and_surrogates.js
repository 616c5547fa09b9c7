// Threat: an error text that PostgreSQL refuses
// Expect: errored script_error bad � text �
function main() {
  throw new Error('bad \0 text \ud800');
}
