# shellcheck shell=bash
# Rust is not ours to install: people have opinions about how. Sourced by scripts/setup.
wanted=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
command -v cargo >/dev/null || die "cargo is missing: install Rust $wanted or newer (rustup is the usual way), then try again"
found=$(rustc --version | cut -d' ' -f2)
[ "$(printf '%s\n%s\n' "$wanted" "$found" | sort -V | head -n 1)" = "$wanted" ] ||
  die "Rust $found is too old: $wanted or newer is needed (rustup update)"
if [ "$tests" ]; then
  for component in fmt clippy; do
    cargo $component --version >/dev/null 2>&1 || die "cargo $component is missing: rustup component add rustfmt clippy"
  done
fi
