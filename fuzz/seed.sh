#!/usr/bin/env bash
# Copies the project's own scripts into the corpus, one unit byte in front of each.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p fuzz/corpus/builder
for file in fixtures/scripts/*.ts fixtures/functions/*.ts tests/examples/*.ts api/tests/it/types/*.ts; do
  for unit in 0 1 2; do
    { printf %s "$unit"; cat "$file"; } >"fuzz/corpus/builder/$unit-$(basename "$file")"
  done
done
