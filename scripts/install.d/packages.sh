# shellcheck shell=bash
# Debian packages, only those whose program is missing. Sourced by scripts/setup.
missing=()
need() { # PACKAGES test-command…
  local packages=$1
  shift
  # shellcheck disable=SC2206
  "$@" >/dev/null 2>&1 || missing+=($packages)
}
program() { command -v "$1"; }
postgres_is_installed() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || compgen -G '/usr/pgsql-*/bin/initdb' || program initdb; }
rabbitmq_is_installed() { compgen -G '/usr/lib/rabbitmq/bin/rabbitmq-server' || compgen -G '/usr/lib/rabbitmq/lib/rabbitmq_server-*'; }

need postgresql postgres_is_installed
need rabbitmq-server rabbitmq_is_installed
need build-essential program cc
need util-linux program setpriv
need procps program ps
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need curl program curl
need python3 program python3
need nodejs program node
need npm program npm
if [ "$tests" ]; then
  # The venv module needs ensurepip, which Debian packages apart.
  need python3-venv python3 -c 'import ensurepip, venv'
  need prometheus program promtool
  need shellcheck program shellcheck
fi

if [ ${#missing[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || die "please install: ${missing[*]} (this is not a Debian-like system, so we can't)"
  as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || die "please install, as root: apt-get install ${missing[*]}"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  # Packages start their servers on the standard ports when installed. Ours are private, so we ask them not to.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
  fi
  apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300)
  quietly "${apt[@]}" install --no-install-recommends -y "${missing[@]}" ||
    { say "refreshing the package lists"; quietly "${apt[@]}" update; quietly "${apt[@]}" install --no-install-recommends -y "${missing[@]}"; } ||
    die "apt could not install: ${missing[*]}"
  if [ -e "$policy" ] && [ "$(trap -p EXIT)" ]; then
    "${as_root[@]}" rm -f "$policy"
    trap - EXIT
  fi
fi
