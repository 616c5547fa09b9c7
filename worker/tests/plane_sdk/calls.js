// Calls every method of every resource of the Plane client, with arguments derived from the parameters' names.
// Runs twice, with the SDK under Node and inside a sandbox. The requests must be the same.

/** `[path, method]` of every method, resources within resources included, in the client's order. */
function methodsOf(client) {
  const found = [];
  const visit = (resource, path) => {
    const names = new Set();
    for (let level = Object.getPrototypeOf(resource); level !== null && level !== Object.prototype; level = Object.getPrototypeOf(level)) {
      // The base class holds the HTTP verbs, which are no methods of Plane's.
      if (!Object.getOwnPropertyNames(level).includes('httpDelete')) Object.getOwnPropertyNames(level).forEach((name) => names.add(name));
    }
    for (const name of names) {
      if (name !== 'constructor' && typeof resource[name] === 'function') found.push([`${path}.${name}`, resource, name]);
    }
    for (const [name, value] of Object.entries(resource)) {
      if (typeof value === 'object' && value !== null && name !== 'config') visit(value, `${path}.${name}`);
    }
  };
  visit(client, 'Plane');
  return found;
}

const OBJECT = {
  name: 'näme', description_html: '<p>x & y</p>', list: ['a', 'b'], nested: { deep: [1, null, true] }, when: '2026-01-02T03:04:05Z',
};
const QUERY = { per_page: 5, cursor: '5:1:0', expand: ['state', 'labels'], search: 'a b&c=ü', filters: { and: [{ priority: 'urgent' }] }, none: undefined, nil: null };

/** An argument for a parameter, by its name. */
function argumentFor(name) {
  if (/params|options|query|filters/i.test(name)) return QUERY;
  if (/ids$|expand|fields|items|emails/i.test(name)) return ['id-1', 'id-2'];
  if (/slug|id$|identifier|key|type$|name$|email|term/i.test(name)) return `${name}-1`;
  return OBJECT;
}

function parametersOf(method) {
  const source = Function.prototype.toString.call(method);
  return source.slice(source.indexOf('(') + 1, source.indexOf(')')).split(',')
    .map((parameter) => parameter.split('=')[0].trim()).filter((parameter) => parameter !== '');
}

async function callAll(client) {
  const outcomes = [];
  for (const [path, resource, name] of methodsOf(client)) {
    try {
      await resource[name](...parametersOf(resource[name]).map(argumentFor));
      outcomes.push(`${path} answered`);
    } catch (error) {
      outcomes.push(`${path} ${error.name}: ${error.message}`);
    }
  }
  return outcomes;
}
