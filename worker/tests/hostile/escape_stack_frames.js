// Threat: structured stack frames that expose functions or `this` of the runtime
// Expect: completed true
function main() {
  let seen = null;
  Error.prepareStackTrace = (error, frames) => { seen = frames; return ''; };
  new Error('x').stack;
  return seen === null || seen.every(frame => !frame.getFunction?.() || frame.getFunction() === main);
}
