# shellcheck shell=bash
# cargo deny and cargo machete, at pinned versions, compiled once per machine. Sourced by scripts/setup.
install_cargo_tool() { # NAME VERSION
  ! cargo install --list --root "$cargo_tools" 2>/dev/null | grep -qxF "cargo-$1 v$2:" || return 0
  say "compiling cargo-$1 $2 (once per machine)"
  quietly cargo install --quiet --locked --root "$cargo_tools" --target-dir "$CARGO_TARGET_DIR/cargo-tools" "cargo-$1" --version "$2" ||
    die "cargo-$1 $2 could not be installed"
}
install_cargo_tool machete 0.9.2
install_cargo_tool deny 0.20.2
rm -rf "$CARGO_TARGET_DIR/cargo-tools"
