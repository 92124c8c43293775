#!/usr/bin/env bash
# Prints the Python to use: python3.12, else python3.11, else a python3 that is one of them.
set -euo pipefail
for candidate in python3.12 python3.11 python3; do
    # A shim of a version manager may lie on the PATH and still start nothing, so it is tried.
    if "$candidate" -c 'import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 12): sys.exit(1)
print(sys.executable)' 2> /dev/null; then
        exit 0
    fi
done
{
    echo "no Python 3.11 or 3.12 found: mediapipe has no wheel for any other"
    echo "  Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv"
    echo "  Ubuntu 22.04:            apt-get install python3.11 python3.11-venv"
    echo "  anywhere else:           install uv, then: uv venv --seed --python 3.12 .venv"
    echo "then run make again"
} >&2
exit 1
