#!/usr/bin/env bash
# Installs the system libraries that are missing, where apt and the rights are there; else names them and goes on.
#   tools/system-packages.sh run     what running needs
#   tools/system-packages.sh test    that, and what the tests need: a sound server, a screen without a monitor, a browser, espeak-ng, flite, Redis, strace
#   tools/system-packages.sh venv PYTHON   the standard library's own venv, which Debian packs apart
set -euo pipefail

want=${1:?run, test or venv}
missing=()
libraries=$(PATH=$PATH:/sbin:/usr/sbin ldconfig -p 2> /dev/null || true)

library() { # library SONAME PACKAGE
    grep -qF "$1" <<< "$libraries" || missing+=("$2")
}

program() { # program NAME PACKAGE
    command -v "$1" > /dev/null || missing+=("$2")
}

running() {
    library libportaudio.so.2 libportaudio2     # sounddevice: microphones and speakers
    library libGL.so.1 libgl1                   # cv2
    library libgthread-2.0.so.0 libglib2.0-0    # cv2
    library libSM.so.6 libsm6                   # cv2's preview window
    library libXext.so.6 libxext6               # cv2's preview window
}

testing() {
    program pulseaudio pulseaudio
    program pactl pulseaudio-utils
    program Xvfb xvfb
    library libespeak-ng.so.1 espeak-ng         # --mic tts:, realtime-dub voice
    program flite flite                         # --mic tts:flite
    program redis-check-rdb redis-tools         # a Redis of the tests' own: this is the server by another name
    program strace strace                       # shows that nothing is sent anywhere
    compgen -G "/usr/lib/*/alsa-lib/libasound_module_pcm_pulse.so" > /dev/null || missing+=(libasound2-plugins)
    # Ubuntu has a Chromium as a snap only, which tests cannot drive: there those of the page are skipped.
    grep -qs '^ID=debian' /etc/os-release && program chromium chromium
    return 0
}

venv() {
    "$1" -c 'import ensurepip, venv' 2> /dev/null && return
    missing+=("python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv")
}

case $want in
    run) running ;;
    test) running; testing ;;
    venv) venv "${2:?which python}" ;;
    *) echo "system-packages.sh: unknown: $want; use run, test or venv" >&2; exit 2 ;;
esac

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo -n)
fi
if [ "$(uname -s)" = Linux ] && command -v apt-get > /dev/null && "${as_root[@]}" true 2> /dev/null; then
    echo "system libraries: installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    install=("${as_root[@]}" apt-get -qq -o Dpkg::Use-Pty=0 install --yes --no-install-recommends "${missing[@]}")
    "${install[@]}" > /dev/null 2>&1 || { "${as_root[@]}" apt-get -qq update && "${install[@]}" > /dev/null; } && exit 0
fi
echo "system libraries missing: ${missing[*]}" >&2
echo "install them as root, on Debian or Ubuntu with: apt-get install ${missing[*]}" >&2
[ "$want" != venv ] # without these something does not work; without venv nothing does
