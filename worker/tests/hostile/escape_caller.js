// Threat: a sloppy function reads which function of the runtime or of native code called it
// Expect: completed {"own":true,"timer":"null null","microtask":"null null","listener":"null null","getter":"null null","then":"null null"}
async function main() {
  const seen = {};
  const look = (name, self) => {
    const called = self.caller;
    const given = called === null ? null : called.arguments;
    seen[name] = `${called} ${given}`;
  };
  function asked() { return asked.caller; }
  function asks() { return asked(); }
  seen.own = asks() === asks;
  await new Promise((resolve) => {
    setTimeout(function timer() { look('timer', timer); resolve(); }, 0);
  });
  await new Promise((resolve) => {
    queueMicrotask(function microtask() { look('microtask', microtask); resolve(); });
  });
  const controller = new AbortController();
  controller.signal.addEventListener('abort', function listener() { look('listener', listener); });
  controller.abort();
  const record = {};
  Object.defineProperty(record, 'a', { enumerable: true, get: function getter() { look('getter', getter); return '1'; } });
  new Headers(record);
  await { then: function then(resolve) { look('then', then); resolve(); } };
  return seen;
}
