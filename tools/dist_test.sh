#!/usr/bin/env bash
# Tests on the GPUs of one machine or of several (or, without GPUs, in as many processes):
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of test.py, --eval bbox segm for one]
# On several machines the same on each, with NNODES, NODE_RANK and MASTER_ADDR set, and PORT if 29500 is taken.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exit 2
fi
CONFIG=$1
CHECKPOINT=$2
GPUS=$3

torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/test.py" "$CONFIG" "$CHECKPOINT" --launcher pytorch "${@:4}"
