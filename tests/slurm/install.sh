#!/usr/bin/env bash
# Install Slurm for the tests that need it, where that is possible: as root, on Debian or Ubuntu.
# The tests start one of their own (local_slurm.sh); no service of the system is started.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin
if command -v slurmctld > /dev/null && command -v munged > /dev/null; then exit 0; fi
if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then exit 1; fi
export DEBIAN_FRONTEND=noninteractive
# The packages would start their services, unconfigured, where nothing forbids it.
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
  trap 'rm -f $policy' EXIT
  printf '#!/bin/sh\nexit 101\n' > $policy
  chmod +x $policy
fi
{
  timeout 120 apt-get update
  timeout 240 apt-get install -y --no-install-recommends slurm-wlm munge
} > /dev/null
