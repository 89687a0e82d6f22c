#!/usr/bin/env bash
# Trains on the GPUs of one machine or of several; without GPUs, in as many processes on the CPU.
set -euo pipefail

TOOLS=$(dirname "$0")
if [ $# -lt 2 ]; then
    echo "usage: [SETTING=VALUE ...] $0 CONFIG GPUS [arguments of train.py]" >&2
    exec python "$TOOLS/launch.py" --help >&2
fi
# exec: a signal to this script reaches torchrun, which passes it on to the processes.
exec python "$TOOLS/launch.py" "$2" "$TOOLS/train.py" "$1" --launcher pytorch "${@:3}"
