// Threat: throws an object that throws when it is looked at
// Expect: errored script_error
function main() {
  throw new Proxy(new Error('hidden'), { get() { throw new Error('trap'); }, getPrototypeOf() { throw new Error('trap'); } });
}
