// Threat: spins while the top level is evaluated
// Expect: errored init_timeout
while (true);
function main() {}
