"""From a sound card's callback to the thread that reads."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np

from realtime_dub.media import Samples


@dataclass(frozen=True, slots=True, eq=False)
class StampedBlock:
    """A block as the device gave it."""

    samples: Samples
    time_ns: int  # capture of its first sample, with the device's jitter
    lost: bool  # samples are missing before it


class CallbackRing:
    """A ring of blocks. The callback copies and returns: it allocates nothing that stays and waits for no lock; the one
    lock here is the reader's alarm, which it only ever releases.

    When the reader is late by the ring's whole length, blocks are dropped, counted, and the next one says so.
    """

    def __init__(self, slots: int, slot_frames: int, channels: int) -> None:
        self._data = np.zeros((slots, slot_frames, channels), np.float32)
        self._frames = np.zeros(slots, np.int64)
        self._times = np.zeros(slots, np.int64)
        self._lost = np.zeros(slots, np.bool_)
        self._written = 0  # moved by the callback alone
        self._read = 0  # moved by the reader alone
        self._losing = False
        self._alarm = threading.Lock()
        self._alarm.acquire()
        self.dropped = 0

    def put(self, samples: Samples, time_ns: int, lost: bool) -> None:
        """From the callback: (n, channels), n at most a slot."""
        self._losing = self._losing or lost
        if self._written - self._read >= len(self._data) or len(samples) > self._data.shape[1]:
            self._losing = True
            self.dropped += 1
            return
        slot = self._written % len(self._data)
        self._data[slot, : len(samples)] = samples
        self._frames[slot], self._times[slot], self._lost[slot] = len(samples), time_ns, self._losing
        self._losing = False
        self._written += 1  # last: from here on the reader sees the slot
        if self._alarm.locked():
            self._alarm.release()

    def take(self, timeout_s: float) -> StampedBlock | None:
        """The oldest block; None where none came in time."""
        if self._read == self._written:
            self._alarm.acquire(timeout=timeout_s)
        if self._read == self._written:
            return None
        slot = self._read % len(self._data)
        samples = self._data[slot, : self._frames[slot]].copy()
        block = StampedBlock(samples, int(self._times[slot]), bool(self._lost[slot]))
        self._read += 1
        return block
