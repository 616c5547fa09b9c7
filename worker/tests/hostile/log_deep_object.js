// Threat: an object too deep and too wide to print
// Expect: completed "done"
function main() {
  let value = {};
  for (let i = 0; i < 100000; i++) value = { value };
  console.log(value);
  console.log(Array.from({ length: 1e6 }, (_, i) => i));
  return 'done';
}
