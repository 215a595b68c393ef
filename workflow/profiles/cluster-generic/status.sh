#!/usr/bin/env bash
# The state of a Slurm job in the words of Snakemake's generic cluster executor: running, success or failed.
set -euo pipefail

state=$(scontrol show job "$1" 2> /dev/null | grep --only-matching 'JobState=[A-Z_]*' | cut --delimiter== --fields=2 || true)
if [[ -z $state ]]; then # forgotten by the controller; where there is accounting, it knows
    state=$(sacct --noheader --parsable2 --format=State --jobs "$1" 2> /dev/null | head --lines=1 | cut --delimiter=' ' --fields=1 || true)
fi
case $state in
COMPLETED) echo success ;;
PENDING | RUNNING | CONFIGURING | COMPLETING | SUSPENDED | REQUEUED | RESIZING) echo running ;;
*) echo failed ;;
esac
