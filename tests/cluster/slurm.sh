#!/usr/bin/env bash
# A one-machine Slurm from Debian's packages: `slurm.sh start FOLDER` and `slurm.sh stop`. Needs root, apt and loopback.
# Its state lies in FOLDER; its configuration must be /etc/slurm/slurm.conf, or the srun inside jobs does not find it.
# Exit status 3: this machine does not allow it. Any other but 0: it was allowed, and went wrong.
set -euo pipefail

MARK="# written by tagmask's tests/cluster/slurm.sh"
CONF=/etc/slurm/slurm.conf
GRES=/etc/slurm/gres.conf

refuse() {
    echo "Slurm cannot start here: $1" >&2
    exit 3
}

install_slurm() {
    command -v slurmctld munged > /dev/null && return
    command -v apt-get > /dev/null || refuse "apt-get is missing, so Debian's packages cannot be installed"
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge > "$1/apt.log" 2>&1 ||
        { apt-get update >> "$1/apt.log" 2>&1 &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends slurm-wlm munge >> "$1/apt.log" 2>&1; } ||
        refuse "apt-get cannot install slurm-wlm and munge; see $1/apt.log"
}

write_conf() {
    local name
    name=$(hostname -s)
    for path in $CONF $GRES; do
        [[ ! -e $path ]] || grep -q "$MARK" "$path" || refuse "$path is there already: this machine has a Slurm of its own"
    done
    mkdir -p /etc/slurm
    # Slurm counts files as GPUs without looking into them, so jobs can ask for some here and be sent where they are.
    touch "$1"/gpu{0..3}
    printf '%s\nNodeName=%s Name=gpu File=%s\n' "$MARK" "$name" "$1/gpu[0-3]" > $GRES
    cat > "$CONF" << CONF
$MARK
ClusterName=one
SlurmctldHost=$name(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
MinJobAge=3600
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
GresTypes=gpu
NodeName=$name NodeAddr=127.0.0.1 Gres=gpu:4 CPUs=$(nproc) RealMemory=$(($(awk '/MemTotal/ {print $2}' /proc/meminfo) / 1024 - 1000)) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=gpu Nodes=ALL MaxTime=INFINITE State=UP
CONF
}

start() {
    [[ $(id -u) == 0 ]] || refuse "it needs root, for munge and the job daemon"
    mkdir -p "$1/state" "$1/spool"
    install_slurm "$1"
    write_conf "$1"
    install -d -o munge -g munge /run/munge
    [[ -s /etc/munge/munge.key ]] || install -o munge -g munge -m 400 <(head -c 1024 /dev/urandom) /etc/munge/munge.key
    # Asked, not looked for among the processes: a dead one may be listed still.
    if ! munge --no-input > /dev/null 2>&1; then
        runuser -u munge -- munged
        echo "# munged=$(cat /run/munge/munged.pid)" >> $CONF
    fi
    slurmctld
    slurmd
    for _ in $(seq 60); do
        sinfo --noheader --format=%T 2> /dev/null | grep -q idle && return
        sleep 0.5
    done
    tail -n 20 "$1"/slurm*.log >&2
    echo "error: Slurm was started, but no node became idle within 30 s; see the lines above" >&2
    exit 1
}

# Ends what `start` started, told by the files of process ids that its configuration names, and waits for it, for a start
# may follow; another Slurm is let alone.
stop() {
    grep -q "$MARK" "$CONF" 2> /dev/null || return 0
    local file pid pids=()
    scancel --user=root 2> /dev/null || true
    for file in $(sed -n 's/^Slurm\(ctld\|d\)PidFile=//p' "$CONF"); do
        if [[ -s $file ]]; then pids+=("$(cat "$file")"); fi
    done
    pid=$(sed -n 's/^# munged=//p' "$CONF")
    if [[ -n $pid ]]; then pids+=("$pid"); fi
    for pid in "${pids[@]}"; do
        kill "$pid" 2> /dev/null || true
        for _ in $(seq 50); do
            # Gone, or a zombie where nobody waits for it.
            [[ $(ps -o stat= -p "$pid" || true) =~ ^[^Z] ]] || break
            sleep 0.2
        done
    done
    for file in $CONF $GRES; do
        if grep -q "$MARK" "$file" 2> /dev/null; then rm -f "$file"; fi
    done
}

case ${1:-} in
start) start "$(realpath --canonicalize-missing "${2:?folder}")" ;;
stop) stop ;;
*) echo "usage: slurm.sh start FOLDER | stop" >&2 && exit 2 ;;
esac
