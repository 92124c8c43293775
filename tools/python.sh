#!/usr/bin/env bash
# Prints the path of the Python to use: python3.12, else python3.11, else a python3 that is one of them. Where the system has
# only a newer one, as Debian 13 does, uv fetches 3.12 into the user's own folder: uv from the PATH, else from .python/.
set -euo pipefail
cd "$(dirname "$0")/.."
uv_version=0.13.9

fits() { # fits COMMAND: prints its path; a version manager may leave a shim on the PATH that starts nothing, so it is run
    "$1" -c 'import sys
if not (3, 11) <= sys.version_info[:2] <= (3, 12): sys.exit(1)
print(sys.executable)' 2> /dev/null
}

find_uv() {
    command -v uv && return
    if [ ! -x .python/bin/uv ]; then
        tools/system-packages.sh venv python3 >&2 && python3 -m venv .python &&
            .python/bin/python -m pip --quiet --quiet --disable-pip-version-check install "uv==$uv_version"
    fi
    echo .python/bin/uv
}

for candidate in python3.12 python3.11 python3; do
    fits "$candidate" && exit 0
done
echo "no Python 3.11 or 3.12 here (mediapipe has no wheel for any other): fetching 3.12 with uv ..." >&2
if uv=$(find_uv) && { "$uv" python find 3.12 > /dev/null 2>&1 || "$uv" python install 3.12 >&2; }; then
    fits "$("$uv" python find 3.12)" && exit 0
fi
{
    echo "that did not work. Install Python 3.11 or 3.12 yourself, then run make again:"
    echo "  Debian 12, Ubuntu 24.04: apt-get install python3 python3-venv"
    echo "  Ubuntu 22.04:            apt-get install python3.11 python3.11-venv"
    echo "  anywhere else:           install uv, then: uv venv --seed --python 3.12 .venv"
} >&2
exit 1
