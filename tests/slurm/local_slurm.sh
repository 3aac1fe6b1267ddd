#!/usr/bin/env bash
# A Slurm of two nodes, both of them this machine, for tests: bash local_slurm.sh start|stop FOLDER
# Everything (configuration, keys, sockets, logs) lives in FOLDER, and the ports are free ones, so that it
# meets no other Slurm or munge. `start` prints FOLDER/slurm.conf, for SLURM_CONF; it may be called again.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

die() { echo "local_slurm: $*" >&2; exit 2; }
[ $# = 2 ] || die "usage: local_slurm.sh start|stop FOLDER"
action=$1
mkdir -p "$2" && folder=$(cd "$2" && pwd)
export SLURM_CONF=$folder/slurm.conf
# 127.0.0.1 and 127.0.0.2, written so that Slurm takes them for names: processes of two nodes find each other
# by the name of the first one, and these are known on every machine.
nodes=(0x7f000001 0x7f000002)
daemons=("${nodes[@]}" slurmctld munged)

alive() { [ -f "$folder/$1.pid" ] && kill -0 "$(cat "$folder/$1.pid")" 2>/dev/null; }
all_alive() { for name in "${daemons[@]}"; do alive "$name" || return; done; }
ready() { [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; }
works() { sinfo --noheader --format=%T 2>/dev/null | grep . | { ! grep -qE 'down|unknown|drain|fail|[*]'; }; }
wait_for() {
  for _ in $(seq 3000); do "$@" && return; sleep 0.1; done
  tail -n 5 "$folder"/*.log >&2
  die "waited five minutes in vain for: $*"
}

stop() {
  local name
  for name in "${daemons[@]}"; do
    if alive $name; then kill "$(cat "$folder/$name.pid")"; fi
  done
  for name in "${daemons[@]}"; do
    for _ in $(seq 1000); do alive $name || break; sleep 0.1; done
  done
}

start() {
  local program host ports node
  for program in munged munge slurmctld slurmd srun; do
    command -v $program > /dev/null || die "$program is not installed (Debian: slurm-wlm and munge)"
  done
  # One that works is used again, also while a job runs, or one that has just ended still holds a node.
  if all_alive && works; then return; fi
  stop
  chmod 700 "$folder"
  mkdir -p "$folder/state"

  [ -f "$folder/munge.key" ] || (umask 077 && head -c 128 /dev/urandom > "$folder/munge.key")
  # --force: a folder under /tmp is open to others further up, which munge dislikes.
  munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --num-threads=1 \
    --pid-file="$folder/munged.pid" --seed-file="$folder/munge.seed" --log-file="$folder/munged.log"

  host=$(hostname -s)
  # Three ports that nobody uses now.
  read -ra ports < <(python3 -c 'import socket
held = [socket.socket() for _ in range(3)]
for s in held: s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])')
  # config_overrides: two processes with a processor each find room on a machine with one, too.
  cat > "$SLURM_CONF" <<CONF
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=${ports[0]}
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool/%n
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/%n.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
NodeName=${nodes[0]} NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[1]} CPUs=4 State=UNKNOWN
NodeName=${nodes[1]} NodeHostname=$host NodeAddr=127.0.0.1 Port=${ports[2]} CPUs=4 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL State=UP PriorityTier=10
CONF
  slurmctld >> "$folder/start.log" 2>&1
  for node in "${nodes[@]}"; do
    mkdir -p "$folder/spool/$node"
    slurmd -N "$node" >> "$folder/start.log" 2>&1
  done
  wait_for ready
}

case $action in
  start) start; echo "$SLURM_CONF" ;;
  stop) stop ;;
  *) die "usage: local_slurm.sh start|stop FOLDER" ;;
esac
