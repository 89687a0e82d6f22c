#!/usr/bin/env bash
# Trains on the GPUs of one machine or of several (or, without GPUs, in as many processes):
#   tools/dist_train.sh CONFIG GPUS [arguments of train.py]
# On several machines the same on each, with NNODES, NODE_RANK and MASTER_ADDR set, and PORT if 29500 is taken.
set -euo pipefail

if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [arguments of train.py]" >&2
    exit 2
fi
CONFIG=$1
GPUS=$2

torchrun \
    --nnodes="${NNODES:-1}" \
    --node_rank="${NODE_RANK:-0}" \
    --master_addr="${MASTER_ADDR:-127.0.0.1}" \
    --master_port="${PORT:-29500}" \
    --nproc_per_node="$GPUS" \
    "$(dirname "$0")/train.py" "$CONFIG" --launcher pytorch "${@:3}"
