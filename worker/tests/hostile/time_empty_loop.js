// Threat: burns the processor for ever in plain code
// Expect: errored timeout
function main() {
  let i = 0;
  while (true) i++;
}
