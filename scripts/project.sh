# shellcheck shell=bash
# Sourced by every script: where things are. Everything that outlives a clone is below $cache.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${RUNNERCTL_CACHE:-$HOME/.cache/runnerctl}
cargo_tools=$cache/cargo-tools
# There is a newer Node than the system's, if scripts/install.d/node.sh had to get one.
export PATH="$cache/node/bin:$PATH"
# Shared by all clones of a machine, so that a second clone compiles only what differs.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
# Queries are checked against the committed .sqlx, never against a database that happens to be named.
export SQLX_OFFLINE=${SQLX_OFFLINE:-true}

# The Python of the chart's tests; a folder per set of requirements.
helm_python() { printf '%s/venv-%s/bin/python\n' "$cache" "$(sha256sum "$root/helm/tests/requirements.txt" | cut -c1-12)"; }

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# Runs a command, silently if it succeeds, with its output if it fails.
quietly() {
  local output
  output=$(mktemp)
  if "$@" >"$output" 2>&1; then
    rm -f "$output"
  else
    local status=$?
    cat "$output" >&2
    rm -f "$output"
    return $status
  fi
}
