// Threat: the classic climb from a host function to the host's Function
// Expect: completed [true,true,true]
function main(input, env) {
  const climb = value => { try { value['constr' + 'uctor']['constr' + 'uctor']('return 1')(); return false; } catch { return true; } };
  return [climb(console.log), climb(input), climb(env)];
}
