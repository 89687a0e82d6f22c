#!/usr/bin/env bash
# Trains on a Slurm cluster:
#   [GPUS=16] [GPUS_PER_NODE=8] [CPUS_PER_TASK=5] [SRUN_ARGS=...] tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]
# Where there are no GPUs, SRUN_ARGS=--gres=none; the numbers are then those of processes.
#
# As a batch job that Slurm may stop, which resumes by itself when Slurm starts it again:
#   sbatch --requeue --signal=USR1@120 --partition=PARTITION --ntasks=16 --ntasks-per-node=8 --gres=gpu:8 \
#       --wrap="GPUS=16 tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR"
# SIGTERM (before a preemption) and SIGUSR1 (here 120 s before the time limit) end training after the present iteration, with a
# checkpoint. After SIGUSR1 this script puts the job into the queue again.
set -euo pipefail

if [ $# -lt 4 ]; then
    echo "usage: [GPUS=16] $0 PARTITION JOB_NAME CONFIG WORK_DIR [arguments of train.py]" >&2
    exit 2
fi
GPUS=${GPUS:-16}
GPUS_PER_NODE=${GPUS_PER_NODE:-8}

for number in "$GPUS" "$GPUS_PER_NODE" "${CPUS_PER_TASK:-5}"; do
    if ! [[ $number =~ ^[1-9][0-9]*$ ]]; then
        echo "error: GPUS, GPUS_PER_NODE and CPUS_PER_TASK must be whole numbers of at least 1, not '$number'" >&2
        exit 2
    fi
done

# Slurm counts how often it has started a job again.
RESUME=()
if [ "${SLURM_RESTART_COUNT:-0}" -gt 0 ]; then
    RESUME=(--resume)
fi

STATUS=0
# SRUN_ARGS is several words on purpose.
# shellcheck disable=SC2086
srun \
    --partition="$1" \
    --job-name="$2" \
    --gres="gpu:$GPUS_PER_NODE" \
    --ntasks="$GPUS" \
    --ntasks-per-node="$GPUS_PER_NODE" \
    --cpus-per-task="${CPUS_PER_TASK:-5}" \
    --kill-on-bad-exit=1 \
    ${SRUN_ARGS:-} \
    python -u "$(dirname "$0")/train.py" "$3" --work-dir "$4" --launcher slurm "${@:5}" ${RESUME[@]+"${RESUME[@]}"} || STATUS=$?

# 128 + SIGUSR1.
if [ "$STATUS" -eq 138 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$STATUS"
