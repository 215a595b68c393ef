#!/usr/bin/env bash
# The state of a Slurm job for Snakemake's generic cluster executor: running, success or failed.
set -uo pipefail

command -v scontrol > /dev/null || {
    echo "error: no scontrol on PATH; start Snakemake where Slurm's commands are" >&2
    exit 1
}
answer=$(scontrol show job "$1" 2>&1)
state=$(grep --only-matching --max-count=1 'JobState=[A-Z_]*' <<< "$answer" | cut --delimiter== --fields=2)
if [[ -z $state && $answer == *"Invalid job id"* ]]; then # forgotten by the controller; accounting, if there is one, knows
    answer=$(sacct --allocations --noheader --parsable2 --format=State --jobs "$1" 2>&1)
    known=$?
    if ((known == 0)); then
        state=$(head --lines=1 <<< "$answer" | cut --delimiter=' ' --fields=1)
    fi
    if [[ -z $state ]] && { ((known == 0 || known == 127)) || [[ $answer == *"accounting storage is disabled"* ]]; }; then
        state=UNKNOWN
    fi
fi
case $state in
COMPLETED) echo success ;;
# No state: controller or accounting did not answer. If this counted as failed, a live job would be started a second time.
"" | PENDING | RUNNING | CONFIGURING | COMPLETING | SUSPENDED | STOPPED | REQUEUED | REQUEUE_HOLD | RESIZING | SIGNALING | STAGE_OUT) echo running ;;
*) echo failed ;;
esac
