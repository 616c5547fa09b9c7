// Threat: throws an object that throws when its properties are read
// Expect: errored script_error
function main() {
  throw new Proxy(new Error('hidden'), { get() { throw new Error('trap'); }, getPrototypeOf() { throw new Error('trap'); } });
}
