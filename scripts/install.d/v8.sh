# shellcheck shell=bash
# The static library that the `v8` crate links. Sourced by scripts/setup.
#
# The crate's build script downloads it, unless cargo's home has it already. Some networks reach package
# registries only; there we put it into cargo's home, from a folder that has it, or built from the crate's source.
v8_version=$(sed -n 's/^v8 = "=\(.*\)"/\1/p' "$root/Cargo.toml")
v8_target=$(rustc -vV | sed -n 's/^host: //p')
v8_file=librusty_v8_release_$v8_target.a.gz
# The name the crate's build script looks for: `v<version>/<file>` with every other character turned into `_`.
v8_cached=${CARGO_HOME:-$HOME/.cargo}/.rusty_v8/$(printf 'v%s/%s' "$v8_version" "$v8_file" | sed 's/[^A-Za-z0-9]/_/g')
# SHA-256 of the file we accept from a folder; what we built has its own, and what the crate downloads is the crate's to check.
v8_pin=$(awk -v version="$v8_version" -v file="$v8_file" '$1 == version && $2 == file { print $3 }' "$root/scripts/v8.sha256")

v8_matches() { printf '%s  %s\n' "$v8_pin" "$1" | sha256sum --check --status; }

v8_built=$cache/v8/$v8_version/$v8_file
v8_downloads=$cache/v8-$v8_version.downloads

v8_was_built() {
  [ -s "$v8_built" ] && (cd "$(dirname "$v8_built")" && sha256sum --check --status "$v8_file.sha256")
}

# Whether cargo's home holds the pinned file, or the one that was built here.
v8_is_there() {
  [ -s "$v8_cached" ] || return 1
  if { [ -n "$v8_pin" ] && v8_matches "$v8_cached"; } || { v8_was_built && cmp --quiet "$v8_built" "$v8_cached"; }; then return; fi
  say "V8 $v8_version: $v8_cached is neither the pinned file nor one built here; replacing it"
  rm -f "$v8_cached"
  return 1
}

v8_install() { # FILE
  mkdir -p "$(dirname "$v8_cached")"
  # Renamed into place: nobody links half a file.
  cp "$1" "$v8_cached.part.$$" && mv "$v8_cached.part.$$" "$v8_cached"
}

# Succeeds if a folder that may have the file has it.
v8_from_folder() {
  local folder file
  for folder in "${RUSTY_V8_FOLDER:-}" "$root/../shared/v8"; do
    file=$folder/$v8_file
    [ -n "$folder" ] && [ -s "$file" ] || continue
    if [ -n "$v8_pin" ] && v8_matches "$file"; then
      say "V8 $v8_version: copied from $folder"
      v8_install "$file"
      return
    fi
    say "V8 $v8_version: $file is not the file that scripts/v8.sha256 pins; not used"
  done
  [ -z "${RUSTY_V8_FOLDER:-}" ] || die "RUSTY_V8_FOLDER is set, but $RUSTY_V8_FOLDER has no usable $v8_file"
  return 1
}

# The crate's own download, into the folder where the real build looks for it again.
v8_from_crate() {
  say "V8 $v8_version: trying the crate's own download, for up to 5 minutes"
  cargo fetch --quiet --locked --manifest-path "$root/Cargo.toml" || die "cargo can't reach its registry; see above"
  timeout 300 cargo build --quiet --locked --package v8 --manifest-path "$root/Cargo.toml" >"$cache/v8-download.log" 2>&1
}

if [ ! -s "$v8_downloads" ] && ! v8_is_there; then
  if ! v8_from_folder; then
    if v8_was_built; then
      say "V8 $v8_version: built here before"
      v8_install "$v8_built"
    elif v8_from_crate; then
      date >"$v8_downloads"
    else
      say "V8 $v8_version: no download from here (see $cache/v8-download.log); building it from the crate's source"
      "$root/scripts/build-v8" "$v8_version" "$(dirname "$v8_built")" ||
        die "V8 $v8_version can be had in none of these ways: RUSTY_V8_FOLDER naming a folder with $v8_file; the crate's own download; a build from source (above)"
      v8_install "$v8_built"
    fi
  fi
fi
