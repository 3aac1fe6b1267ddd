#!/usr/bin/env bash
# Set up .venv and run the tests; arguments go to pytest, e.g. `bash tools/run_tests.sh -m 'not slow'`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup.sh dev
# A test process for each core, with a thread each: sooner than one with all threads, and repeats exactly.
# A file stays in one process: its tests share models and data. tests/conftest.py says in which order files come.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec .venv/bin/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder "$@"
