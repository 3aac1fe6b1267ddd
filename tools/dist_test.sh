#!/usr/bin/env bash
# Evaluate a checkpoint on several GPUs, or processes of the CPU; machines and ports as in dist_train.sh.
# Usage: dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
usage 3 "$@"
need_file config "$1"
need_file checkpoint "$2"
launch_torchrun "$3" "$tools/test.py" "$1" "$2" --launcher pytorch "${@:4}"
