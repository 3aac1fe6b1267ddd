#!/usr/bin/env bash
# Make .venv beside this checkout, or bring it up to date. Compiles nothing; a second call is instant.
# Usage: bash tools/setup.sh [extra ...]      the extras of pyproject.toml; lite and report are always among them
#   PYTHON=python3.12 bash tools/setup.sh     another interpreter
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

extras=$(printf '%s\n' lite report "$@" | sort -u | paste -sd,)
stamp=.venv/.wrs-mm-setup

if [ ! -x .venv/bin/python ]; then
  needed=$(sed -n 's/^requires-python = ">=\(.*\)"$/\1/p' pyproject.toml)
  python=${PYTHON:-$(command -v "python$needed" || command -v python3 || true)}
  if [ -z "$python" ] || ! "$python" -c "import sys; sys.exit(sys.version_info < (${needed/./, }))"; then
    echo "setup: Python $needed is needed (constraints.txt pins wheels for it); set PYTHON=/path/to/python$needed" >&2
    exit 2
  fi
  echo "setup: making .venv with $("$python" --version)"
  "$python" -m venv .venv
fi

# What was installed last: the same inputs need no second look at the package index.
inputs=$( { cat pyproject.toml constraints.txt; pwd; .venv/bin/python --version; } | sha256sum | cut -d' ' -f1)
for extra in ${extras//,/ }; do
  if ! grep -qsx "$inputs $extra" "$stamp"; then
    echo "setup: installing wrs-mm[$extras] (about two minutes the first time)"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
      --constraint constraints.txt --editable ".[$extras]"
    grep -s "^$inputs " "$stamp" > "$stamp.new" || true
    for done in ${extras//,/ }; do echo "$inputs $done"; done >> "$stamp.new"
    sort -u "$stamp.new" > "$stamp"
    rm "$stamp.new"
    break
  fi
done
