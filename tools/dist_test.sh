#!/usr/bin/env bash
# Tests on the GPUs of one machine or of several; without GPUs, in as many processes on the CPU.
set -euo pipefail

TOOLS=$(dirname "$0")
if [ $# -lt 3 ]; then
    echo "usage: [SETTING=VALUE ...] $0 CONFIG CHECKPOINT GPUS [arguments of test.py]" >&2
    exec python "$TOOLS/launch.py" --help >&2
fi
# exec: a signal to this script reaches torchrun, which passes it on to the processes.
exec python "$TOOLS/launch.py" "$3" "$TOOLS/test.py" "$1" "$2" --launcher pytorch "${@:4}"
