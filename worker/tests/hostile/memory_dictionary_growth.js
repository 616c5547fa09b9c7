// Threat: an object in dictionary mode grown without end
// Expect: errored memory_limit
function main() {
  const object = {};
  for (let i = 0; ; i++) object['key' + i] = i;
}
