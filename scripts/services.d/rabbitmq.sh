# shellcheck shell=bash
# A RabbitMQ of our own in $1/rabbitmq. Sourced after process.sh.

rabbitmq_server() {
  local server
  # Debian's /usr/sbin/rabbitmq-server insists on its own user and folders; this is what it wraps.
  for server in /usr/lib/rabbitmq/bin/rabbitmq-server /usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server; do
    [ -x "$server" ] && printf '%s\n' "$server" && return
  done
  say "RabbitMQ is not installed: run scripts/setup"
  return 1
}

rabbitmq_launch() {
  local state=$1 data=$1/rabbitmq server port epmd_port dist_port settings=()
  server=$(rabbitmq_server) || return
  service_folder "$data"
  [ -s "$state/rabbitmq.password" ] || random_secret >"$state/rabbitmq.password"
  port=$(kept_port "$state/rabbitmq.port")
  epmd_port=$(kept_port "$state/epmd.port")
  dist_port=$(kept_port "$state/rabbitmq-dist.port")
  as_service_user tee "$data/rabbitmq.conf" >/dev/null <<CONF
listeners.tcp.default = 127.0.0.1:$port
default_user = runnerctl
default_pass = $(cat "$state/rabbitmq.password")
disk_free_limit.absolute = 50MB
log.file = false
log.console = true
log.console.level = info
CONF
  [ -z "${fast:-}" ] || settings+=('{ra, [{wal_sync_method, none}]}')
  # It looks for consumers that are too slow once per tick, which is a minute unless told otherwise.
  [ -z "${consumer_timeout:-}" ] ||
    settings+=("{rabbit, [{consumer_timeout, $consumer_timeout}, {channel_tick_interval, 500}]}")
  (IFS=, && printf '[%s].\n' "${settings[*]}") | as_service_user tee "$data/advanced.config" >/dev/null
  as_service_user tee "$data/enabled_plugins" >/dev/null <<<'[].'

  # The node's name server is ours too: a shared one would outlive us, or die under others.
  server_prefix TERM
  (cd / && exec env ERL_EPMD_ADDRESS=127.0.0.1 "${prefix[@]}" epmd -port "$epmd_port") >"$state/epmd.log" 2>&1 </dev/null &
  process_record "$state/epmd.pid" $!
  disown

  server_prefix "$([ "${fast:-}" ] && echo KILL || echo TERM)"
  # ALLOW_INPUT makes the start script become the server, instead of its parent: the pid is the right one.
  # Schedulers that spin while idle would take processor time from what is measured beside them.
  (cd / && exec env -i PATH="$PATH" LANG=C.UTF-8 HOME="$data" \
    RABBITMQ_NODENAME=runnerctl@localhost RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$data/rabbitmq.conf" \
    RABBITMQ_ADVANCED_CONFIG_FILE="$data/advanced.config" RABBITMQ_ENABLED_PLUGINS_FILE="$data/enabled_plugins" \
    RABBITMQ_MNESIA_BASE="$data/mnesia" RABBITMQ_LOG_BASE="$data/log" RABBITMQ_PID_FILE="$data/pid" \
    RABBITMQ_DIST_PORT="$dist_port" ERL_EPMD_PORT="$epmd_port" ERL_EPMD_ADDRESS=127.0.0.1 RABBITMQ_ALLOW_INPUT=1 \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-noinput -kernel inet_dist_use_interface {127,0,0,1} +sbwt none +sbwtdcpu none +sbwtdio none' \
    "${prefix[@]}" "$server") >"$state/rabbitmq.log" 2>&1 </dev/null &
  process_record "$state/rabbitmq.pid" $!
  disown
}

# Waits until it listens, which RabbitMQ does last; writes $1/rabbitmq.env.
rabbitmq_await() {
  local state=$1 port
  port=$(cat "$state/rabbitmq.port")
  process_await "$state/rabbitmq.pid" 90 port_is_served "$port" || return
  printf 'AMQP_URL=amqp://runnerctl:%s@127.0.0.1:%s/%%2f\n' "$(cat "$state/rabbitmq.password")" "$port" >"$state/rabbitmq.env"
}

port_is_served() { ! port_is_free "$1"; }

# A clean shutdown takes seconds, and is for data that is kept.
rabbitmq_stop() {
  process_stop "$1/rabbitmq.pid" "$([ "${fast:-}" ] && echo KILL || echo TERM)" 30
  process_stop "$1/epmd.pid" TERM 5
}
