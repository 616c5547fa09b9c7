// Threat: recursion without end; the RangeError is the script's own to catch
// Expect: completed "RangeError"
function main() {
  const deeper = () => deeper() + 1;
  try { return deeper(); } catch (error) { return error.name; }
}
