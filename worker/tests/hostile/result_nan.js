// Threat: numbers JSON can't hold
// Expect: completed [null,null,0]
function main() {
  return [NaN, Infinity, -0];
}
