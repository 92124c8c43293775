"""What plays on the sinks of a private PulseAudio, and what records them."""

from __future__ import annotations

import subprocess
import threading
import time

import numpy as np
from patience import PATIENCE_S

RATE = 48_000
SETTLE_S = 4.0  # until PulseAudio has agreed with itself on the latencies of its null sinks


class Recording(threading.Thread):
    """What a sink plays, with the machine's time: chunks come late by a changing amount, the median tells the line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        super().__init__(name="recording")
        self._process, self._chunks, self._origins = process, [], []
        self.start()

    def run(self) -> None:
        count = 0
        assert self._process.stdout is not None
        while chunk := self._process.stdout.read1(65_536):
            count += len(chunk)
            self._chunks.append(chunk)
            self._origins.append(time.monotonic() - count / 8 / RATE)

    def finish(self) -> tuple[np.ndarray, float]:
        """(samples of the left channel, the time of the first)."""
        end(self._process)
        self.join()
        return self.so_far()

    def so_far(self) -> tuple[np.ndarray, float]:
        """The same, while it goes on."""
        data = b"".join(self._chunks)
        if not data:
            return np.zeros(0, np.float32), 0.0
        return np.frombuffer(data[: len(data) // 8 * 8], np.float32)[::2], float(np.median(self._origins))


class Player(threading.Thread):
    """Feeds a player the sound ``period`` (n, 2), over and over, until it is ended."""

    def __init__(self, process: subprocess.Popen[bytes], period: np.ndarray) -> None:
        super().__init__(name="player")
        self._process, self._data = process, period.astype(np.float32).tobytes()
        self.start()

    def run(self) -> None:
        assert self._process.stdin is not None
        try:
            while True:
                self._process.stdin.write(self._data)
        except (BrokenPipeError, ValueError):
            return

    def finish(self) -> None:
        end(self._process)
        self.join()


def end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(PATIENCE_S)
