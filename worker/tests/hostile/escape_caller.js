// Threat: reaches the callers of a sloppy function
// Expect: completed true
function main() {
  function who() { return who.caller; }
  const caller = who();
  return caller === main || caller === null;
}
