// Threat: the thrown error spins when its stack is read
// Expect: errored timeout
function main() {
  const error = new Error('x');
  Object.defineProperty(error, 'message', { get() { for (;;); } });
  Object.defineProperty(error, 'stack', { get() { for (;;); } });
  for (;;) if (Date.now() < 0) throw error;
}
