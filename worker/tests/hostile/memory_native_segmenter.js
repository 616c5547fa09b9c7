// Threat: native code that crashes when it is refused memory
// Expect: errored memory_limit
function main() {
  const segments = [];
  for (;;) {
    const text = 'a'.repeat(3e7) + segments.length;
    segments.push(new Intl.Segmenter('en').segment(text)[Symbol.iterator]());
    segments[segments.length - 1].next();
  }
}
