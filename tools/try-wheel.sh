#!/usr/bin/env bash
# Installs a wheel in a fresh environment, .fresh, with what base.lock names by hash and nothing else, and dubs with it.
set -euo pipefail
wheel=$(realpath "$1")
root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
"$python" -m venv .fresh
.fresh/bin/pip install --quiet --require-hashes --requirement "$root/requirements/base.lock"
.fresh/bin/pip install --quiet --no-deps --no-index "$wheel"
.fresh/bin/pip check
fresh=$PWD/.fresh/bin
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cd "$place" # not where the source lies
"$fresh/realtime-dub" --version
"$fresh/realtime-dub" file demo --mic demo -o demo.mp4 --seconds 2
"$fresh/python" - << 'PROGRAM'
import av, realtime_dub

assert "site-packages" in realtime_dub.__file__, realtime_dub.__file__
with av.open("demo.mp4") as film:
    frames = sum(1 for _ in film.decode(video=0))
assert frames == 50, frames
print(f"{frames} frames dubbed by {realtime_dub.__file__}")
PROGRAM
