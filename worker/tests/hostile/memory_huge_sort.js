// Threat: sort over a huge sparse length takes the room for its work at once
// Expect: errored memory_limit
function main() {
  return Array.prototype.sort.call({ length: Number.MAX_SAFE_INTEGER }, (a, b) => a - b);
}
