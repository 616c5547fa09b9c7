// Threat: toJSON decides what is recorded; it may, but only as JSON
// Expect: completed {"honest":false}
function main() {
  return { toJSON: () => ({ honest: false }) };
}
