// Threat: something thrown beside main would undo what main returned
// Expect: completed "settled"
async function main() {
  return new Promise(resolve => setTimeout(() => {
    resolve('settled');
    throw new Error('too late');
  }, 1));
}
