#!/usr/bin/env bash
# Remakes requirements/*.lock from pyproject.toml. Needs `uv` on the PATH or named by UV=...
# An existing lock is kept where it still fits; give --upgrade to take the newest of everything.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=${UV:-uv}

compile() { # compile OUTPUT ARGUMENTS...
    local output=requirements/$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-annotate --no-header \
        --output-file "$output" "$@" > /dev/null
}

titled() { # titled OUTPUT TITLE...: puts a comment on top and tidies the markers
    local output=requirements/$1
    shift
    # pyproject.toml holds Python below 3.13 already; on every line it would only hide the rest.
    { printf '# %s\n' "$@"; sed -E "s/python_full_version < '3.13' and //; s/ ; python_full_version < '3.13'//" "$output"; } > "$output.new"
    mv "$output.new" "$output"
}

both="Python 3.11 and 3.12, Linux, macOS and Windows. Made by \`make lock\`; do not edit."
compile base.lock --generate-hashes "$@" pyproject.toml requirements/build.in
compile dev.lock --generate-hashes --constraint requirements/base.lock "$@" pyproject.toml requirements/build.in --extra dev
compile train.lock --constraint requirements/dev.lock "$@" pyproject.toml requirements/train.in --extra train
# The CUDA libraries belong to the CUDA wheel of torch, which asks for its own; the CPU wheel wants none of them.
sed -i -E '/^(nvidia|cuda|triton)/d' requirements/train.lock
titled base.lock "What runs and builds realtime-dub, with hashes. $both"
titled dev.lock "base.lock and what tests and checks it, with hashes. $both"
titled train.lock "What trains and exports engines, beside dev.lock. $both" \
    "Without hashes: the same version of torch comes as a CPU wheel or a CUDA wheel, and either may be used."
