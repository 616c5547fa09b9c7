# shellcheck shell=bash
# Processes we start, remembered in files. A process is its pid and its start time together: a pid alone may
# long belong to somebody else, and we never signal a process that we did not start.

# Clock ticks from boot to the start of process $1; fails if there is none (or only its zombie).
process_birth() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  # The name is in parentheses and may hold anything; what follows are fields 3 (state) to 52.
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  [ "$1" != Z ] && printf '%s\n' "${20}"
}

# Remembers process $2 in file $1.
process_record() {
  printf '%s %s\n' "$2" "$(process_birth "$2")" >"$1"
}

# Prints the pid remembered in file $1 if that very process still runs.
process_pid() {
  local pid birth
  read -r pid birth 2>/dev/null <"$1" || return 1
  [ -n "$birth" ] && [ "$(process_birth "$pid")" = "$birth" ] && printf '%s\n' "$pid"
}

# Ends the process remembered in file $1 with signal $2; after $3 seconds with KILL.
process_stop() {
  local pid deadline=$((SECONDS + $3))
  if pid=$(process_pid "$1"); then
    kill "-$2" "$pid" 2>/dev/null
    while process_pid "$1" >/dev/null; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        kill -KILL "$pid" 2>/dev/null
        deadline=$((SECONDS + 5))
      fi
      sleep 0.05
    done
  fi
  rm -f "$1"
}

# Waits up to $2 seconds until "$3…" succeeds, as long as the process remembered in file $1 lives.
process_await() {
  local file=$1 deadline=$((SECONDS + $2))
  shift 2
  until "$@" >/dev/null 2>&1; do
    process_pid "$file" >/dev/null && [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.05
  done
}

# Sets $prefix, the command prefix of a server process: a session of its own, so that Ctrl-C on the terminal
# reaches it through us and in order; as root, an unprivileged user, because PostgreSQL refuses root; and with
# $owned set, signal $1 when our shell dies, however it dies.
service_user=postgres
server_prefix() {
  local options=()
  [ "$(id -u)" != 0 ] || options+=(--reuid "$service_user" --regid "$service_user" --clear-groups)
  [ -z "${owned:-}" ] || options+=(--pdeathsig "$1")
  prefix=(setsid)
  [ ${#options[@]} = 0 ] || prefix+=(setpriv "${options[@]}" --)
}

# Where we stand may be out of its reach, hence /.
as_service_user() (
  cd / || return
  [ "$(id -u)" = 0 ] || exec "$@"
  exec setpriv --reuid "$service_user" --regid "$service_user" --clear-groups -- "$@"
)

# Makes folder $1, which only the servers' user can read.
service_folder() {
  mkdir -p -m 700 "$1"
  [ "$(id -u)" != 0 ] || chown "$service_user:" "$1"
}

# Not through a pipe: a grep that has found its line ends the writer by SIGPIPE, which pipefail takes for "no".
port_is_free() {
  ! grep -qsE "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") .* 0A " /proc/net/tcp /proc/net/tcp6
}

# Prints the port kept in file $1 if nothing listens there, else a new one that it keeps. Below the range that
# Linux hands out to clients, so that no passing connection takes it.
kept_port() {
  local port
  port=$(cat "$1" 2>/dev/null || echo 0)
  until [ "$port" != 0 ] && port_is_free "$port"; do port=$((20000 + RANDOM % 12000)); done
  printf '%s\n' "$port" | tee "$1"
}

random_secret() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
