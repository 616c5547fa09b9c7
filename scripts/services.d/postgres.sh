# shellcheck shell=bash
# A PostgreSQL of our own in $1/postgres. Sourced after process.sh.

postgres_bin() {
  local folder
  for folder in $(printf '%s\n' /usr/lib/postgresql/*/bin /usr/pgsql-*/bin | sort -rV) "$(dirname "$(command -v postgres || echo /)")"; do
    [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && printf '%s\n' "$folder" && return
  done
  say "PostgreSQL is not installed: run scripts/setup"
  return 1
}

postgres_launch() {
  local state=$1 folder=$1/postgres bin port setting settings=()
  bin=$(postgres_bin) || return
  if [ ! -s "$folder/data/PG_VERSION" ]; then
    service_folder "$folder"
    [ -s "$state/postgres.password" ] || random_secret >"$state/postgres.password"
    as_service_user tee "$folder/password" <"$state/postgres.password" >/dev/null
    quietly as_service_user "$bin/initdb" -D "$folder/data" -U runnerctl -A scram-sha-256 -E UTF8 --locale=C.UTF-8 \
      --no-sync --pwfile="$folder/password" || return
  fi
  # Durability costs most of a test's time and buys nothing for data that is thrown away.
  [ -z "${fast:-}" ] || settings=(-c fsync=off -c synchronous_commit=off -c full_page_writes=off)
  # Further settings, as words NAME=VALUE.
  for setting in ${POSTGRES_SETTINGS:-}; do settings+=(-c "$setting"); done
  port=$(kept_port "$state/postgres.port")
  server_prefix INT
  (cd / && exec "${prefix[@]}" "$bin/postgres" -D "$folder/data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c max_connections=400 "${settings[@]}") >"$state/postgres.log" 2>&1 </dev/null &
  process_record "$state/postgres.pid" $!
  disown
}

# Waits until it answers and has our database; writes $1/postgres.env.
postgres_await() {
  local state=$1 bin port url
  bin=$(postgres_bin) && port=$(cat "$state/postgres.port") || return
  process_await "$state/postgres.pid" 30 "$bin/pg_isready" -q -h 127.0.0.1 -p "$port" || return
  url=postgresql://runnerctl:$(cat "$state/postgres.password")@127.0.0.1:$port
  "$bin/psql" -qX "$url/postgres" -tAc "SELECT 1 FROM pg_database WHERE datname = 'runnerctl'" | grep -q 1 ||
    "$bin/psql" -qX "$url/postgres" -c 'CREATE DATABASE runnerctl' || return
  printf 'DATABASE_URL=%s/runnerctl\n' "$url" >"$state/postgres.env"
}

# INT is PostgreSQL's fast shutdown: it does not wait for clients.
postgres_stop() { process_stop "$1/postgres.pid" INT 20; }
