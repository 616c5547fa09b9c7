// Measures the build steps of the original system's runner on the file named by the first argument: esbuild removes the
// types, acorn parses the result, acorn-walk searches for `Functions.*`. Prints the median and 99th percentile in
// nanoseconds.
import { readFileSync } from "node:fs";
import { transformSync } from "esbuild";
import { parse } from "acorn";
import { simple } from "acorn-walk";

const code = readFileSync(process.argv[2], "utf8");
const rounds = Number(process.argv[3] ?? 500);

function build() {
  const { code: javascript } = transformSync(code, { loader: "ts", sourcemap: "inline", target: "esnext" });
  const tree = parse(javascript, { ecmaVersion: "latest", sourceType: "module", locations: true });
  const names = new Set();
  simple(tree, {
    MemberExpression({ object, property }) {
      if (object.type === "Identifier" && object.name === "Functions" && property.type === "Identifier") {
        names.add(property.name);
      }
    },
  });
  return names;
}

for (let round = 0; round < 100; round++) build();
const times = [];
for (let round = 0; round < rounds; round++) {
  const start = process.hrtime.bigint();
  build();
  times.push(Number(process.hrtime.bigint() - start));
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({ p50: times[times.length >> 1], p99: times[Math.floor(times.length * 0.99)] }));
