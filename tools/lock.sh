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
    # What pyproject.toml resolves for (tool.uv) would stand on every line, and only hide the rest.
    { printf '# %s\n' "$@"; sed -E "s/(python_full_version < '3.13'|platform_python_implementation == 'CPython'|implementation_name != 'PyPy') and //g
        s/ (and|;) (\(sys_platform == 'darwin' or sys_platform == 'linux' or sys_platform == 'win32'\)|python_full_version < '3.13')//" "$output"; } > "$output.new"
    mv "$output.new" "$output"
}

both="Python 3.11 and 3.12, Linux, macOS and Windows. Made by \`make lock\`; do not edit."
compile base.lock --generate-hashes "$@" pyproject.toml requirements/build.in
compile dev.lock --generate-hashes --constraint requirements/base.lock "$@" pyproject.toml requirements/build.in --extra dev
compile train.lock --generate-hashes --constraint requirements/dev.lock "$@" pyproject.toml requirements/train.in --extra train
compile fleet.lock --generate-hashes --constraint requirements/dev.lock "$@" pyproject.toml requirements/build.in --extra fleet --extra otel
compile release.lock --generate-hashes --constraint requirements/dev.lock "$@" requirements/release.in
# What the CUDA wheel of torch asks for is a file of its own: the CPU wheel wants none of it.
part() { # part WANTED: of train.lock, what is for CUDA (1) or not (0), each with its hashes
    awk -v wanted="$1" '/^[a-z]/ { cuda = /^(nvidia|cuda|triton)/ ? 1 : 0 } cuda == wanted' requirements/train.lock
}
part 1 > requirements/cuda.lock
part 0 > requirements/train.lock.new && mv requirements/train.lock.new requirements/train.lock
# The CPU wheels of torch are not on PyPI: those in the folder TORCH_CPU are a file of their own, tried first.
for wheel in "${TORCH_CPU:-/nowhere}"/torch-*+cpu-*.whl; do
    [ -e "$wheel" ] || continue
    version=${wheel##*/torch-}
    echo "torch==${version%%-*} --hash=sha256:$(sha256sum "$wheel" | cut -d' ' -f1)" > requirements/cpu.lock
    titled cpu.lock "torch without CUDA, with the hash of the wheel that was at hand. Made by \`make lock\`; do not edit."
done
titled base.lock "What runs and builds realtime-dub, with hashes. $both"
titled dev.lock "base.lock and what tests and checks it, with hashes. $both"
titled train.lock "What trains and exports engines, beside dev.lock, with hashes. $both"
titled cuda.lock "What PyPI's torch asks for on Linux, with hashes. Made by \`make lock\`; do not edit."
titled fleet.lock "base.lock and what runs \`realtime-dub fleet\`, traced or not, with hashes. $both"
titled release.lock "What makes a release and checks it, with hashes. $both"
