#!/usr/bin/env bash
# Train on several GPUs of this machine, or of several machines; without a GPU, on processes of the CPU.
# Usage: dist_train.sh CONFIG GPUS [arguments of tools/train.py]
#
# CONFIG is a file, or mmdet::NAME, mmseg::NAME, or the name of one of ours. Several machines: the same call
# on each, with NNODES (how many), NODE_RANK (0, 1, …: which one), MASTER_ADDR (address of number 0) and PORT
# (a free port there; default 29500). On one machine a free port is found; PORT overrides.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
usage 2 "$@"
need_file config "$1"
launch_torchrun "$2" "$tools/train.py" "$1" --launcher pytorch "${@:3}"
