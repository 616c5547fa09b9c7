// Threat: console text that PostgreSQL refuses
// Expect: completed "done"
// Log: info before � after �
function main() {
  console.log('before \0 after \ud83d');
  return 'done';
}
