// Threat: what is thrown spins when it is made a text
// Expect: errored script_error toString
function main() {
  throw { toString() { for (;;); }, [Symbol.toPrimitive]() { for (;;); } };
}
