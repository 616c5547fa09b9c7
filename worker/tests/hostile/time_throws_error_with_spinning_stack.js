// Threat: the thrown error spins when its message or stack is read
// Expect: errored script_error Error
function main() {
  const error = new Error('x');
  Object.defineProperty(error, 'message', { get() { for (;;); } });
  Object.defineProperty(error, 'stack', { get() { for (;;); } });
  throw error;
}
