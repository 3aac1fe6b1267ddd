#!/usr/bin/env bash
# Set up .venv and run the tests; arguments go to pytest, e.g. `bash tools/run_tests.sh -m 'not slow'`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash tools/setup.sh dev
# Two test processes with a thread each finish sooner than one with all threads, and repeat exactly.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
exec .venv/bin/python -m pytest "$@"
