"""The voice on its way to engine, publishers and speaker: whole and in order, spoken while a mouth can be made for it.

A source stamps sound with its capture. Sound that pauses, that comes in pieces or later than was declared would find
its tick gone: the ear has heard silence there, or the publishers have it. Such sound is moved to the earliest instant
that is still to come and leaves time for its mouth. Everybody reads from here, so sound and mouth stay in step.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from realtime_dub.flow import AudioRing
from realtime_dub.media import MS, NS, AudioBlock, Samples, ns_to_samples, samples_to_ns

MOST_WAITING_NS = 60 * NS  # of sound that came faster than it is spoken
AHEAD_NS = NS  # so much of it lies in the ring, the rest before it
PIECE_NS = 100 * MS
CUSHION_NS = 60 * MS  # more, for a voice that has run dry a moment ago: one hole where there would be many
RUNNING_NS = NS  # a longer hole is a pause
AGAIN_NS = 2 * NS  # a voice that runs dry twice within this gets a cushion
WINDOW_NS = 5 * NS  # how long lateness is expected to come again: one to two of these,
MOST_EXPECTED_NS = 500 * MS  # and this much of it
WORTH_NS = (
    30 * MS
)  # a delay that is not needed any more is cut from pauses where it is longer than this: less than anybody notices
PAUSE_NS = 300 * MS  # a pause is quiet for so long already,
QUIET = 0.1  # less loud than this share of the loudest of the last seconds
FULL_SCALE = 1.0  # and a crack beyond it is not what a voice is measured by
FADE_S = 20.0  # for that to fall to a third
TOLD_NS = 20 * MS  # a shorter delay is not worth a note


class VoiceLine:
    """Written by the voice's thread, read by time from any. Silence where there is no sound.

    ``room_ns``: how much later than its capture a sample may come and still be spoken at it, mouth and all.
    Until :meth:`begin` nobody listens, and sound lies where its stamps say.
    """

    def __init__(self, rate: int, channels: int, length_ns: int, room_ns: int) -> None:
        self.rate, self.channels, self.room_ns = rate, channels, room_ns
        self._ring = AudioRing(rate, channels, length_ns + AHEAD_NS)
        self._waiting: deque[AudioBlock] = deque()  # before the ring
        self._lock = threading.Lock()
        self._running = False
        self._end_ns: int | None = None
        self._read_ns = -(1 << 62)  # up to here it is heard or given away
        self._delay_ns = 0  # of the present sound, against its stamps
        self._most_delay_ns = self._left_out_ns = 0
        self._dry_ns = -(1 << 62)  # when it ran dry last
        self._expected = Expected()
        self._pauses = Pauses()

    @property
    def end_ns(self) -> int | None:
        """Up to where there is sound; None before the first."""
        with self._lock:
            return self._end_ns

    @property
    def notes(self) -> list[str]:
        """What became of a voice that came late or too fast."""
        notes = []
        if self._most_delay_ns >= TOLD_NS:
            ms = self._most_delay_ns // MS
            notes.append(f"the voice came late or in pieces: it was spoken up to {ms} ms later, with its mouth")
        if self._left_out_ns:
            left = f"{self._left_out_ns / NS:.1f} s were left out"
            notes.append(f"the voice came too fast: with {MOST_WAITING_NS // NS} s of it waiting, {left}")
        return notes

    def begin(self) -> None:
        """From now on what is read is heard."""
        self._running = True

    def put(self, block: AudioBlock, now_ns: int) -> None:
        """The source's next block has come. Never blocks."""
        with self._lock:
            placed: AudioBlock | None = block
            if self._running:
                placed = self._silence(block) if block.gap else self._sound(block, now_ns)
            if placed is not None:
                self._write(placed, now_ns)

    def read(self, start_ns: int, count: int) -> Samples:
        """``count`` samples from ``start_ns`` on, a new array. What comes for these instants later is moved on."""
        with self._lock:
            if self._running:
                self._read_ns = max(self._read_ns, start_ns + samples_to_ns(count, self.rate))
            return self._taken(start_ns, count)

    def peek(self, start_ns: int, count: int) -> Samples:
        """The same for a speaker, by whose clock nothing else goes: what comes later is there for the others."""
        with self._lock:
            return self._taken(start_ns, count)

    def leave(self, room_ns: int) -> None:
        """Somebody reads so early that a sample may come no later than this."""
        self.room_ns = min(self.room_ns, room_ns)

    def snap(self, instant_ns: int) -> int:
        """The instant of the sample nearest to ``instant_ns``."""
        return self._ring.snap(instant_ns)

    def _taken(self, start_ns: int, count: int) -> Samples:
        until_ns = start_ns + samples_to_ns(count, self.rate)
        while self._waiting and self._waiting[0].end_ns <= until_ns + AHEAD_NS:
            self._ring.write(self._waiting.popleft())
        return self._ring.read(start_ns, count)

    def _sound(self, block: AudioBlock, now_ns: int) -> AudioBlock | None:
        expected_ns = self._expected.update(now_ns - block.pts_ns - self.room_ns, now_ns)
        pause = self._pauses.update(block)
        surplus_ns = self._delay_ns - expected_ns
        if pause and surplus_ns >= WORTH_NS and block.duration_ns <= surplus_ns:
            self._delay_ns -= block.duration_ns
            return None
        at_ns = self._place(block, expected_ns, now_ns)
        if at_ns - now_ns > MOST_WAITING_NS:
            self._left_out_ns += block.duration_ns
            return None
        self._delay_ns = at_ns - block.pts_ns
        self._most_delay_ns = max(self._most_delay_ns, self._delay_ns)
        return replace(block, pts_ns=at_ns)

    def _place(self, block: AudioBlock, expected_ns: int, now_ns: int) -> int:
        """Where it begins: at the end of the sound before it, or after a hole."""
        natural_ns, end_ns, sample_ns = block.pts_ns + self._delay_ns, self._end_ns, NS // self.rate + 1
        whole = end_ns is not None and self._read_ns <= end_ns
        if end_ns is not None and whole and natural_ns <= end_ns + sample_ns:
            return natural_ns if natural_ns >= end_ns - sample_ns else end_ns
        paused = end_ns is None or natural_ns - end_ns >= RUNNING_NS
        delay_ns = 0 if paused else min(self._delay_ns, expected_ns)
        soonest_ns = max(now_ns - self.room_ns, self._read_ns)
        at_ns = max(block.pts_ns + delay_ns, soonest_ns, end_ns or 0)
        if end_ns is not None and sample_ns < at_ns - end_ns < RUNNING_NS:
            if now_ns - self._dry_ns < AGAIN_NS:
                at_ns = max(at_ns, soonest_ns + CUSHION_NS)
            self._dry_ns = now_ns
        return at_ns

    def _silence(self, block: AudioBlock) -> AudioBlock | None:
        """Put in for lost sound: what is late of it is there already, and a delay that is not needed is cut from it."""
        self._delay_ns = min(self._delay_ns, self._expected.value_ns)
        at_ns = block.pts_ns + self._delay_ns
        from_ns = max(at_ns, self._read_ns, self._end_ns or 0)
        cut = ns_to_samples(from_ns - at_ns, self.rate)
        return replace(block, samples=block.samples[cut:], pts_ns=from_ns) if cut < len(block.samples) else None

    def _write(self, block: AudioBlock, now_ns: int) -> None:
        self._end_ns = block.end_ns if self._end_ns is None else max(self._end_ns, block.end_ns)
        if self._waiting or block.end_ns > now_ns + AHEAD_NS:
            self._waiting.extend(_pieces(block))
        else:
            self._ring.write(block)


def _pieces(block: AudioBlock) -> Iterator[AudioBlock]:
    """Short enough for the ring to take one on without losing what is still to be read."""
    size = ns_to_samples(PIECE_NS, block.rate)
    for at in range(0, len(block.samples), size):
        pts_ns = block.pts_ns + samples_to_ns(at, block.rate)
        yield replace(block, samples=block.samples[at : at + size], pts_ns=pts_ns)


class Expected:
    """The lateness to be prepared for: the most of the last seconds, never below 0."""

    def __init__(self) -> None:
        self._now_ns = self._before_ns = 0
        self._since_ns = -(1 << 62)

    @property
    def value_ns(self) -> int:
        return min(max(self._now_ns, self._before_ns), MOST_EXPECTED_NS)

    def update(self, late_ns: int, now_ns: int) -> int:
        if now_ns - self._since_ns > WINDOW_NS:
            self._before_ns, self._now_ns, self._since_ns = self._now_ns, 0, now_ns
        self._now_ns = max(self._now_ns, late_ns)
        return self.value_ns


class Pauses:
    """Tells a voice's pauses by its loudness."""

    def __init__(self) -> None:
        self._loudest = 0.0
        self._quiet_ns = 0

    def update(self, block: AudioBlock) -> bool:
        """``block`` belongs to a pause that has lasted for a while."""
        peak = min(float(np.abs(block.samples).max(initial=0.0)), FULL_SCALE)
        self._loudest = max(peak, self._loudest * (1.0 - block.duration_ns / NS / FADE_S))
        self._quiet_ns = self._quiet_ns + block.duration_ns if peak <= QUIET * self._loudest else 0
        return self._quiet_ns > PAUSE_NS
