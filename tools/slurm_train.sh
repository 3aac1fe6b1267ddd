#!/usr/bin/env bash
# Train under Slurm, one process a GPU.
# Usage: slurm_train.sh PARTITION JOB_NAME CONFIG [WORK_DIR] [arguments of tools/train.py]
#
# From the environment: GPUS (8), GPUS_PER_NODE (8, or GPUS where that is less), CPUS_PER_TASK (5),
# SRUN_ARGS (more options of srun; --gres=none for nodes without GPUs), PORT (default: from the job's number).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/launch.sh"
usage 3 "$@"
need_file config "$3"
partition=$1 name=$2 config=$3
shift 3
# mmdet's script has the work dir here, mmseg's has none.
work_dir=()
case ${1:--} in
  -*) ;;
  *) work_dir=(--work-dir "$1") && shift ;;
esac
launch_srun "$partition" "$name" \
  "$tools/train.py" "$config" --launcher slurm ${work_dir[@]+"${work_dir[@]}"} "$@"
