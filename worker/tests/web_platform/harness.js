const cases = [];
const test = (name, run) => { cases.push({ name, run }); };

const show = (value) => (typeof value === 'string' ? JSON.stringify(value) : String(value));

function fail(message) {
  throw new Error(message);
}

function assert(condition, message = 'expected something true') {
  if (!condition) fail(message);
}

function same(actual, expected) {
  if (Object.is(actual, expected)) return true;
  if (typeof actual !== 'object' || typeof expected !== 'object' || actual === null || expected === null) return false;
  if (Array.isArray(actual) !== Array.isArray(expected)) return false;
  if (ArrayBuffer.isView(actual) !== ArrayBuffer.isView(expected)) return false;
  const keys = Reflect.ownKeys(actual);
  if (keys.length !== Reflect.ownKeys(expected).length) return false;
  return keys.every((key) => Object.hasOwn(expected, key) && same(actual[key], expected[key]));
}

function equal(actual, expected, message = '') {
  if (!same(actual, expected)) {
    const text = (value) => (typeof value === 'object' && value !== null ? JSON.stringify(value) : show(value));
    fail(`${message === '' ? '' : `${message}: `}expected ${text(expected)}, got ${text(actual)}`);
  }
}

function isError(error, type, name) {
  if (typeof type === 'string') {
    assert(error instanceof DOMException && error.name === type, `${name}: expected ${type}, got ${error}`);
  } else if (type !== undefined) {
    assert(error instanceof type && error.constructor === type, `${name}: expected ${type.name}, got ${error}`);
  }
  return error;
}

/** `type` is a constructor or the name of a DOMException. */
function throws(type, run, message = '') {
  try {
    run();
  } catch (error) {
    return isError(error, type, message);
  }
  return fail(`${message}: nothing was thrown`);
}

async function rejects(type, promise, message = '') {
  try {
    await promise;
  } catch (error) {
    return isError(error, type, message);
  }
  return fail(`${message}: the promise was fulfilled`);
}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const bytes = (...values) => new Uint8Array(values);
const utf8 = (text) => new TextEncoder().encode(text);

async function report() {
  const failed = [];
  for (const { name, run } of cases) {
    try {
      await run();
    } catch (error) {
      failed[failed.length] = `${name}: ${error?.message ?? error}`;
    }
  }
  return { total: cases.length, failed };
}
