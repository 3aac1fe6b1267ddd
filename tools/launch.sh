# What dist_train.sh, dist_test.sh, slurm_train.sh and slurm_test.sh share; they source it.
# shellcheck shell=bash

tools=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The Python that has wrs-mm: of the environment that it is installed in, or of this checkout, where it was set
# up; or else the one on the path.
case $tools in
  */site-packages/wrs_mm/.mim/tools) python=${tools%/lib*/python*/site-packages/*}/bin/python ;;
  *)
    python=$tools/../.venv/bin/python
    export PYTHONPATH="$tools/..${PYTHONPATH:+:$PYTHONPATH}"
    ;;
esac
[ -x "$python" ] || python=python

fail() {
  echo "${0##*/}: error: $*" >&2
  exit 2
}

# usage LEAST "$@": the comment at the head of the script is its help.
usage() {
  local least=$1 argument
  shift
  for argument in "$@"; do
    case $argument in -h | --help)
      sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
      exit 0
      ;;
    esac
  done
  [ $# -ge "$least" ] || fail "$(sed -n 's/^# Usage: /usage: /p' "$0")"
}

# need_file WHAT NAME: NAME is a file, a config of a toolbox (mmdet::…), an address (https://…), or, where WHAT
# is config, the name of one of ours.
need_file() {
  case $2 in *::* | *://*) return ;; esac
  local ours=$tools/../configs/${2#configs/}
  if [ "$1" = config ] && { [ -f "$ours" ] || [ -f "$ours.py" ]; }; then return; fi
  [ -f "$2" ] || fail "$1 $2 does not exist; give the path of a file"
}

# need_number NAME VALUE LEAST MOST
need_number() {
  case $2 in
    '' | *[!0-9]* | ??????*) ;;
    *) [ "$2" -ge "$3" ] && [ "$2" -le "$4" ] && return ;;
  esac
  fail "$1 is ${2:-empty}; it must be a whole number from $3 to $4"
}

# launch_torchrun PROCESSES SCRIPT ARGUMENTS...: become torchrun, which starts the processes of this machine.
launch_torchrun() {
  local processes=$1
  shift
  need_number GPUS "$processes" 1 99999
  need_number NNODES "${NNODES:=1}" 1 99999
  need_number NODE_RANK "${NODE_RANK:=0}" 0 $((10#$NNODES - 1))
  local where=(--standalone) # a free port
  if [ "$NNODES" -gt 1 ] || [ -n "${PORT:-}" ]; then
    need_number PORT "${PORT:=29500}" 1 65535
    where=(--nnodes="$NNODES" --node-rank="$NODE_RANK"
      --master-addr="${MASTER_ADDR:-127.0.0.1}" --master-port="$PORT")
  fi
  exec "$python" "$tools/torchrun.py" "${where[@]}" --nproc-per-node="$processes" "$@"
}

# launch_srun PARTITION JOB_NAME SCRIPT ARGUMENTS...: become srun, which starts all processes.
launch_srun() {
  local partition=$1 name=$2
  shift 2
  command -v srun > /dev/null || fail "there is no srun here; without Slurm use dist_${0##*slurm_}"
  need_number GPUS "${GPUS:=8}" 1 99999
  need_number GPUS_PER_NODE "${GPUS_PER_NODE:=$((GPUS < 8 ? GPUS : 8))}" 1 99999
  need_number CPUS_PER_TASK "${CPUS_PER_TASK:=5}" 1 99999
  if [ -n "${PORT:-}" ]; then
    need_number PORT "$PORT" 1 65535
    export MASTER_PORT=$PORT
  fi
  # SRUN_ARGS are several words, and come last so that they win.
  # shellcheck disable=SC2086
  exec srun --partition="$partition" --job-name="$name" --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" --ntasks-per-node="$GPUS_PER_NODE" --cpus-per-task="$CPUS_PER_TASK" \
    --kill-on-bad-exit=1 ${SRUN_ARGS:-} "$python" -u "$@"
}
