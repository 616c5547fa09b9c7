# shellcheck shell=bash
# api and worker as `make dev` runs them. Sourced by run, after services.d; $dev, $state and $bin are its.

# Addresses and secrets of this clone: made once, then kept.
settings() {
  # shellcheck source=/dev/null
  . "$state/urls"
  export DATABASE_URL AMQP_URL
  API_PORT=$(kept_port "$dev/api.port")
  WORKER_PORT=$(kept_port "$dev/worker.port")
  export API_URL=http://127.0.0.1:$API_PORT WORKER_URL=http://127.0.0.1:$WORKER_PORT WORKSPACE=demo
  export LOG_FORMAT=${LOG_FORMAT:-pretty}
  RUNNER_HMAC_SECRET_KEY=$(kept_secret hmac)
  ENCRYPTION_KEY=$(kept_secret encryption)
  export RUNNER_HMAC_SECRET_KEY ENCRYPTION_KEY
  # Where scripts find Plane. There is none on this machine; name yours to let `Plane` in scripts reach it.
  export API_BASE_URL=${API_BASE_URL:-http://127.0.0.1:8000}
  export CONTROL_SERVICE_BASE_URL=$API_URL
  # As in a container with one processor: api, worker, database and broker share this machine, and on a small one it costs
  # more to wake another processor than a second thread gives.
  export TOKIO_WORKER_THREADS=${TOKIO_WORKER_THREADS:-1}
  export DRAIN_TIMEOUT_S=${DRAIN_TIMEOUT_S:-8}
}

kept_secret() { # NAME: 32 bytes, as base64
  local file=$state/$1.key
  [ -s "$file" ] || head -c 32 /dev/urandom | base64 >"$file"
  cat "$file"
}

# What outside programs need, for `source .dev/env`. The API key is kept as long as the database knows it.
write_env() {
  local key
  key=$(sed -n 's/^API_KEY=//p' "$dev/env" 2>/dev/null)
  [ -n "$key" ] && [ -e "$state/api-key" ] || {
    key=$("$bin/api" keys create --workspace "$WORKSPACE" --scopes read,write,execute 2>>"$dev/api.log") ||
      die "no API key could be made: see $dev/api.log"
    : >"$state/api-key"
  }
  export API_KEY=$key
  {
    for name in API_URL API_KEY WORKSPACE RUNNER_HMAC_SECRET_KEY DATABASE_URL AMQP_URL WORKER_URL; do
      printf '%s=%s\n' "$name" "${!name}"
    done
  } >"$dev/env.part"
  mv "$dev/env.part" "$dev/env"
}

declare -A program_started program_crashes

program_start() { # api|worker
  local port=$API_PORT
  [ "$1" = api ] || port=$WORKER_PORT
  # A session of its own: Ctrl-C reaches it through us, in order. It dies with us, however we die.
  PORT=$port setsid setpriv --pdeathsig KILL -- "$bin/$1" serve >>"$dev/$1.log" 2>&1 </dev/null &
  process_record "$dev/$1.pid" $!
  disown
  program_started[$1]=$SECONDS
}

# Starts a program that ended again; one that keeps crashing at once is given a second more each time, up to ten.
program_revive() { # api|worker
  local wait
  ! process_pid "$dev/$1.pid" >/dev/null || return 0
  [ $((SECONDS - program_started[$1])) -lt 10 ] || program_crashes[$1]=0
  wait=${program_crashes[$1]:-0}
  [ "$wait" -le 10 ] || wait=10
  [ $((SECONDS - program_started[$1])) -ge "$wait" ] || return 0
  program_crashes[$1]=$((${program_crashes[$1]:-0} + 1))
  say "$1 ended; starting it again (its log: $dev/$1.log)"
  program_start "$1"
}
