# shellcheck shell=bash
# Both servers together. Sourced after project.sh.
# What we write holds passwords.
umask 077
# shellcheck source=process.sh
. "$root/scripts/services.d/process.sh"
# shellcheck source=postgres.sh
. "$root/scripts/services.d/postgres.sh"
# shellcheck source=rabbitmq.sh
. "$root/scripts/services.d/rabbitmq.sh"

# Prints the folder that holds the servers' data for folder $1: itself, unless the servers run as another user
# who can't reach it (a clone below /root); then one under /var/tmp, named after it.
state_folder() {
  local folder=$1 other
  (umask 066 && mkdir -p "$folder")
  folder=$(cd "$folder" && pwd)
  if ! as_service_user test -x "$folder"; then
    other=/var/tmp/runnerctl-$(printf %s "$folder" | sha256sum | cut -c1-12)
    mkdir -p -m 711 "$other"
    [ -O "$other" ] && [ ! -L "$other" ] || die "$other belongs to somebody else"
    ln -sfn "$other" "$folder/data"
    folder=$other
  fi
  printf '%s\n' "$folder"
}

# Starts the named servers of state folder $1, all at once, and prints their URLs. Those that run already stay.
services_start() {
  local state=$1 name
  shift
  for name in "$@"; do
    process_pid "$state/$name.pid" >/dev/null || "${name}_launch" "$state" || return
  done
  for name in "$@"; do
    "${name}_await" "$state" || start_again "$name" "$state" || return
    cat "$state/$name.env"
  done
}

# Another process may take a port between our look and the server's bind: then, and only then, tries other ports.
start_again() { # NAME STATE
  local try
  for try in 1 2 3; do
    "$1_stop" "$2"
    grep -qiE 'address already in use|eaddrinuse' "$2/$1.log" || break
    rm -f "$2"/*.port
    "$1_launch" "$2" && "$1_await" "$2" && return
  done
  say "$1 does not start; the end of $2/$1.log:"
  tail -n 20 "$2/$1.log" >&2
  return 1
}

services_stop() { # STATE NAME…
  local state=$1 name
  shift
  for name in "$@"; do "${name}_stop" "$state"; done
}
