// Threat: values whose JSON form is easily mistaken
// Expect: completed {"date":"1970-01-01T00:00:00.000Z","map":{},"list":[null,1]}
function main() {
  return { date: new Date(0), map: new Map([[1, 2]]), list: [undefined, 1] };
}
