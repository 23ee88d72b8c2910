#!/usr/bin/env bash
# A real SLURM of one node on loopback, without systemd, for tests.
#
#   tests/slurm/cluster.sh start DIR   # then: export SLURM_CONF=DIR/slurm.conf
#   tests/slurm/cluster.sh stop DIR
#
# Needs root and Debian's slurm-wlm and munge, which it installs if missing.
set -euo pipefail

usage='usage: cluster.sh {start|stop} DIR'
action=${1:?$usage}
dir=$(realpath -m "${2:?$usage}")

install_packages() {
  command -v slurmctld >/dev/null && command -v munged >/dev/null && return
  echo 'Installing slurm-wlm and munge ...'
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends slurm-wlm munge >/dev/null
}

start_munge() {
  for path in /run/munge /var/log/munge /var/lib/munge /etc/munge; do
    install -d -o munge -g munge -m 0755 "$path"
  done
  if [ ! -s /etc/munge/munge.key ]; then
    install -o munge -g munge -m 0600 /dev/null /etc/munge/munge.key
    head -c 1024 /dev/urandom >/etc/munge/munge.key
  fi
  if munge -n >/dev/null 2>&1; then
    return
  fi
  runuser -u munge -- munged
  touch "$dir/our_munge"
}

configure() {
  local memory
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.95)}' /proc/meminfo)
  mkdir -p "$dir/state" "$dir/spool"
  cat >"$dir/slurm.conf" <<EOF
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
ReturnToService=2
MinJobAge=7200
JobRequeue=1
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
NodeName=localhost NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory Gres=gpu:1
PartitionName=gpu Nodes=localhost Default=YES MaxTime=INFINITE State=UP
PartitionName=day Nodes=localhost MaxTime=INFINITE State=UP
EOF
  # A stand-in: jobs may ask for a GPU, and find none.
  echo 'NodeName=localhost Name=gpu File=/dev/null' >"$dir/gres.conf"
}

start() {
  install_packages
  mkdir -p "$dir"
  configure
  start_munge
  slurmctld -f "$dir/slurm.conf"
  slurmd -N localhost -f "$dir/slurm.conf"
  export SLURM_CONF=$dir/slurm.conf
  for _ in $(seq 60); do
    if sinfo -h -o %T 2>/dev/null | grep -q idle; then
      return
    fi
    sleep 0.5
  done
  echo 'The node did not come up:' >&2
  tail -n 20 "$dir/slurmctld.log" "$dir/slurmd.log" >&2
  return 1
}

stop() {
  for name in slurmctld slurmd; do
    if [ -f "$dir/$name.pid" ]; then
      kill "$(cat "$dir/$name.pid")" 2>/dev/null || true
    fi
  done
  if [ -f "$dir/our_munge" ]; then
    pkill -u munge munged || true
  fi
}

case $action in
  start) start ;;
  stop) stop ;;
  *)
    echo "$usage" >&2
    exit 2
    ;;
esac
