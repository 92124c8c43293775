"""Which codec a film is written in. H.264 is what everything plays; the others ask for nobody's licence.

libx264, which makes H.264 in software, is under the GPL, and H.264 itself is patented in some countries. VP9 (libvpx,
BSD), AV1 (SVT-AV1, BSD) and Motion JPEG (FFmpeg's own) are neither. docs/licences.md says what that means.
"""

from __future__ import annotations

import os

from realtime_dub.errors import ConfigError
from realtime_dub.publishers import h264
from realtime_dub.publishers.h264 import H264, Options, Wanted

USUAL = "h264"
QUIET = "SVT_LOG", "1"  # SVT-AV1 tells its settings on standard error; 1: what is wrong alone


def _vp9(wanted: Wanted) -> Options:
    # b 0: the quality is what counts. Live, nothing is held back, and rows are coded on several threads.
    made = {"crf": str(_of_63(wanted.crf)), "b": "0", "row-mt": "1", "threads": "2" if wanted.live else "4"}
    if wanted.live:
        return made | {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    return made | {"deadline": "good", "cpu-used": "5"}


def _av1(wanted: Wanted) -> Options:
    os.environ.setdefault(*QUIET)
    made = {"crf": str(_of_63(wanted.crf)), "preset": "10" if wanted.live else "8"}
    return made | ({"svtav1-params": "pred-struct=1"} if wanted.live else {})


def _mjpeg(wanted: Wanted) -> Options:
    quality = str(max(2, min(31, round(wanted.crf / 4))))  # 2 best .. 31
    return {"qmin": quality, "qmax": quality, "huffman": "default"}


def _of_63(crf: int) -> int:
    """libx264's scale of 51 steps, on one of 63."""
    return max(1, round(crf * 63 / 51))


OTHERS = {
    "vp9": H264("libvpx-vp9", _vp9),
    "av1": H264("libsvtav1", _av1),
    "mjpeg": H264("mjpeg", _mjpeg, full_range=True),
}
NAMES = (USUAL, *OTHERS)
# Where each can be held, by FFmpeg's names of containers.
HOLDS = {"vp9": ("mp4", "matroska"), "av1": ("mp4", "matroska"), "mjpeg": ("mp4", "mov", "matroska")}
SUFFIXES = {"mp4": ".mp4", "matroska": ".mkv", "mov": ".mov"}


def choose(codec: str, encoder: str, wanted: Wanted) -> tuple[H264, str]:
    """What encodes ``codec``, one of NAMES, and a note; ``encoder`` chooses among those of H.264 (``h264.choose``).

    Raises DependencyError for an encoder of H.264 that does not work here.
    """
    return h264.choose(encoder, wanted) if codec == USUAL else (OTHERS[codec], "")


def why_not() -> dict[str, str | None]:
    """By name why a codec's encoder in software makes nothing of a frame here; None where it does."""
    return h264.why_not({USUAL: h264.X264, **OTHERS})


def check(codec: str, encoder: str, container: str, name: str, preset: str | None = None) -> None:
    """Raises ConfigError for a ``codec`` that there is none of, or that output ``name`` cannot hold."""
    if codec not in NAMES:
        raise ConfigError("cannot use --codec", repr(codec), f"choose one of {', '.join(NAMES)}")
    if codec == USUAL:
        return
    if container not in HOLDS[codec]:
        kinds = ", ".join(SUFFIXES[each] for each in HOLDS[codec])
        raise ConfigError(f"cannot write --codec {codec} into", name, f"use h264, or a file that ends in {kinds}")
    for option, given in (("--encoder", encoder not in (h264.SOFTWARE, h264.AUTO)), ("--preset", preset is not None)):
        if given:
            raise ConfigError(f"{option} is for H.264, not for", f"--codec {codec}", f"leave {option} out")
