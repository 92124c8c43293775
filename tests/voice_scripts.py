"""Voices that pause, come in pieces or come late, in virtual time: as a source gives them, and what came out."""

from __future__ import annotations

import io

import numpy as np
from live_helpers import START_NS, PuppetGenerator, Run

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import MS, NS, AudioBlock, ns_to_samples, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.sources.pcm_stdin import PcmFormat, PcmSource

Coming = list[tuple[int, AudioBlock]]  # when a block comes to the pipeline
LOUD = 0.02


def speech(seconds: float, rate: int, seed: int) -> np.ndarray:
    """Noise that is never quiet for long, as 16-bit values."""
    noise = np.random.default_rng(seed).uniform(0.05, 0.5, round(seconds * rate))
    return np.round(noise * 32_768).astype("<i2")


class ScriptedPipe(PcmSource):
    """A pipe whose bytes come when the script says so."""

    def __init__(self, writes: list[tuple[float, np.ndarray]], rate: int, start_ns: int) -> None:
        self.clock = VirtualClock(start_ns)
        super().__init__(io.BytesIO(), PcmFormat(rate), self.clock)
        self._writes = [(START_NS + round(at * NS), values.tobytes()) for at, values in writes]

    def _part(self, count: int, until_ns: int | None) -> bytes | None:
        if not self._writes:
            return b""
        at_ns, data = self._writes[0]
        if until_ns is not None and max(at_ns, self.clock.now_ns()) > until_ns:
            self.clock.advance_to(until_ns)
            return None
        self._waited |= at_ns > self.clock.now_ns()
        self.clock.advance_to(at_ns)
        self._writes[:1] = [(at_ns, data[count:])] if len(data) > count else []
        return data[:count]


def from_pipe(writes: list[tuple[float, np.ndarray]], rate: int, start_s: float = 1.0) -> Coming:
    """``writes``: seconds since the start, and the samples written then. Read from ``start_s`` on."""
    source, coming = ScriptedPipe(writes, rate, START_NS + round(start_s * NS)), []
    source.open()
    while True:
        try:
            block = source.read()
        except EndOfStream:
            return coming
        coming.append((source.clock.now_ns(), block))


def stamped(values: np.ndarray, rate: int, start_s: float, late_s: object) -> Coming:
    """Blocks of 10 ms with true stamps; ``late_s`` says by how much each comes later than its end, in order."""
    size, at_ns, coming = rate // 100, 0, []
    for number in range(len(values) // size):
        pts_ns = START_NS + round(start_s * NS) + samples_to_ns(number * size, rate)
        at_ns = max(at_ns, pts_ns + 10 * MS + round(late_s(number * 0.01) * NS))
        part = values[number * size : (number + 1) * size].astype(np.float32)[:, None] / 32_768
        coming.append((at_ns, AudioBlock(part, rate, pts_ns)))
    return coming


class Listener(PuppetGenerator):
    """A mouth that is open where it has heard a loud voice."""

    def __init__(self) -> None:
        super().__init__(speaks=self._loud)

    def _loud(self, at_ns: int) -> bool:
        heard = np.concatenate(self.heard[-40:])
        end = len(heard) - ns_to_samples(self._heard_ns + self._latency.look_ahead_ns - at_ns, VOICE_RATE)
        return bool(np.abs(heard[max(0, end - 80) : end + 80]).max(initial=0.0) > LOUD)


def spoken(run: Run) -> np.ndarray:
    """The sound that came out, without the silence."""
    samples = run.output.sound[:, 0]
    return samples[np.abs(samples) > 1e-3]


def is_whole(run: Run, *sentences: np.ndarray) -> bool:
    """Every sample came out once, in order."""
    wanted = np.concatenate(sentences).astype(np.float32) / 32_768
    got = spoken(run)
    return len(got) == len(wanted) and bool(np.abs(got - wanted).max() < 2e-3)


def mouths(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """For each tick: its sound begins loud, and its mouth is open."""
    ticks = [each.stamped.tick for each in run.output.taken]
    loud = np.array([bool(np.abs(tick.audio.samples[: tick.audio.rate // 200]).max() > LOUD) for tick in ticks])
    return loud, np.array([tick.image[4, 4, 2] > 0 for tick in ticks])


def share_moved(run: Run, from_s: float = 0.0, to_s: float = 1e9) -> float:
    """Of the ticks that speak, the share whose mouth is open. Seconds count from the start."""
    loud, opened = mouths(run)
    at_s = np.array([(each.at_ns - START_NS) / NS for each in run.output.taken])
    loud &= (at_s >= from_s) & (at_s < to_s)
    assert loud.any()
    return float(opened[loud].mean())


def open_in_silence(run: Run) -> int:
    """Ticks whose mouth is open though neither they nor those beside them speak."""
    loud, opened = mouths(run)
    near = np.convolve(loud, np.ones(5), "same") > 0
    return int((opened & ~near).sum())
