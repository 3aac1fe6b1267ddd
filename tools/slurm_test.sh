#!/usr/bin/env bash
# Evaluate a checkpoint under Slurm, one process a GPU; the environment is read as in slurm_train.sh.
# Usage: slurm_test.sh PARTITION JOB_NAME CONFIG CHECKPOINT [arguments of tools/test.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
usage 4 "$@"
need_file config "$3"
need_file checkpoint "$4"
launch_srun "$1" "$2" "$tools/test.py" "$3" "$4" --launcher slurm "${@:5}"
