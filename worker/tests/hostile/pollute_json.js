// Threat: replaces JSON.stringify
// Expect: completed {"real":true}
function main() {
  JSON.stringify = () => '{"stolen":true}';
  globalThis.JSON = { stringify: JSON.stringify, parse: () => 'stolen' };
  return { real: true };
}
