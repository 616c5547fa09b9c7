// Threat: reaches the cloud's metadata service
// Expect: errored script_error Domain not allowed: 169.254.169.254
async function main() {
  await fetch('http://169.254.169.254/latest/meta-data/');
}
