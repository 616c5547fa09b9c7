// Threat: nothing returned must not become something else
// Expect: completed null
function main() {}
