// Threat: a thrown value spins when it is converted to text
// Expect: errored script_error toString
function main() {
  throw { toString() { for (;;); }, [Symbol.toPrimitive]() { for (;;); } };
}
