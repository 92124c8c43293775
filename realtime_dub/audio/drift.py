"""A sound card's samples on the pipeline's clock.

A card counts its samples by its own crystal, some hundred ppm off, and says when with jitter of milliseconds.
:class:`DriftEstimator` draws the line through those times; :class:`DriftCorrector` resamples along the line, so that
what leaves it has exactly the nominal rate on the pipeline's clock. Positions are explicit numbers here, which is why
the sinc interpolator does it and not soxr's variable rate: there the position is hidden behind 5 ms of filter.
"""

from __future__ import annotations

import math

import numpy as np

from realtime_dub.audio.resample import SincInterpolator
from realtime_dub.media import MS, NS, AudioBlock, Samples, ns_to_samples, samples_to_ns

FIRST_SKEW = 300e-6  # what a crystal is expected to be off, one sigma
MOST_SKEW = 1000e-6  # no crystal is worse; more is the jitter of a beginning
SKEW_WALK = 0.5e-6  # per square root of a second; sets how long the line remembers: some 20 s at 2 ms of jitter
FIRST_JITTER_NS = 2.0 * MS
LEAST_JITTER_NS = 0.2 * MS
JITTER_MEMORY = 0.01  # share of the newest in the running jitter
CLIP = 3.0  # jitters; an outlier pulls no harder than this
MOVED_TIMES = 10  # outliers in a row on one side are none: the line has moved,
JUMP_NS = 20 * MS  # and by this much only when samples were lost unsaid
CATCH_UP_S = 1.0  # an error of position is worked off over this time, an error of 1 ms by bending the pitch by 0.1 %,
MOST_CATCH_UP = 0.02  # and at most by this
SILENCE_NS = 100 * MS  # longest block of filled-in silence


class DriftEstimator:
    """The line from a device's sample count to the pipeline's clock: a Kalman filter of offset and skew.

    Start-up is quick, because the skew starts from what crystals are like; outliers are clipped.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.jumped = False
        self._count = 0  # the state holds at this sample
        self._time_ns: int | None = None  # nominal clock of that sample; the line is there at _time_ns + _offset
        self._offset = 0.0
        self._skew = 0.0
        self._p_offset, self._p_cross, self._p_skew = 0.0, 0.0, FIRST_SKEW**2
        self._jitter = FIRST_JITTER_NS
        self._outliers = 0  # in a row, negative where they are early

    @property
    def skew_ppm(self) -> float:
        """How much longer than nominal the device's seconds are."""
        return self._skew * 1e6

    @property
    def jitter_ns(self) -> float:
        """The running mean of the distance of the told times from the line."""
        return self._jitter

    def restart(self, count: int, time_ns: int) -> None:
        """Lay the line through this point; the skew that was learnt stays."""
        self._count, self._time_ns, self._offset = count, time_ns, 0.0
        self._p_offset, self._p_cross = max(self._jitter, FIRST_JITTER_NS) ** 2, 0.0
        self._outliers, self.jumped = 0, False

    def update(self, count: int, time_ns: int) -> None:
        """Sample ``count`` was at ``time_ns``, says the device. Counts rise."""
        if self._time_ns is None:
            self.restart(count, time_ns)
            return
        self._advance(count)
        error = time_ns - (self._time_ns + self._offset)
        if self._has_moved(error):
            self.jumped = abs(error) > JUMP_NS
            self._p_offset += error**2
            self._p_cross = 0.0
        else:
            error = max(-CLIP * self._jitter, min(CLIP * self._jitter, error))
        self._correct(error)

    def time_ns(self, count: float) -> int:
        """The clock at a sample."""
        assert self._time_ns is not None, "no time has been told yet"
        ahead_ns = (count - self._count) * NS / self.rate * (1.0 + self._skew)
        return self._time_ns + round(self._offset + ahead_ns)

    def count_at(self, time_ns: int) -> float:
        """The sample at an instant, with its fraction."""
        assert self._time_ns is not None, "no time has been told yet"
        ahead_ns = (time_ns - self._time_ns - self._offset) / (1.0 + self._skew)
        return self._count + ahead_ns * self.rate / NS

    def _has_moved(self, error: float) -> bool:
        """One outlier is clipped; a row of them on one side means that the line is elsewhere now."""
        if abs(error) <= CLIP * self._jitter:
            self._outliers = 0
        elif error > 0:
            self._outliers = max(self._outliers, 0) + 1
        else:
            self._outliers = min(self._outliers, 0) - 1
        if abs(self._outliers) < MOVED_TIMES:
            return False
        self._outliers = 0
        return True

    def _advance(self, count: int) -> None:
        assert self._time_ns is not None
        step_ns = samples_to_ns(count - self._count, self.rate)
        self._count, self._time_ns = count, self._time_ns + step_ns
        self._offset += self._skew * step_ns
        self._p_offset += step_ns * (2.0 * self._p_cross + step_ns * self._p_skew)
        self._p_cross += step_ns * self._p_skew
        self._p_skew += SKEW_WALK**2 * step_ns / NS

    def _correct(self, error: float) -> None:
        spread = self._p_offset + (1.25 * self._jitter) ** 2  # 1.25: from mean distance to sigma
        gain_offset, gain_skew = self._p_offset / spread, self._p_cross / spread
        self._offset += gain_offset * error
        self._skew = max(-MOST_SKEW, min(MOST_SKEW, self._skew + gain_skew * error))
        self._p_skew -= gain_skew * self._p_cross
        self._p_cross -= gain_skew * self._p_offset
        self._p_offset -= gain_offset * self._p_offset
        self._jitter += JITTER_MEMORY * (min(abs(error), CLIP * self._jitter) - self._jitter)
        self._jitter = max(LEAST_JITTER_NS, self._jitter)


def catch_up(behind: float, rate: int) -> float:
    """The change of speed that works off ``behind`` samples, bounded: a bend of the pitch, never a click."""
    return max(-MOST_CATCH_UP, min(MOST_CATCH_UP, behind / (rate * CATCH_UP_S)))


class DriftCorrector:
    """A device's blocks in, blocks of exactly nominal rate on the pipeline's clock out, without a hole between them.

    ``delay_ns`` is what the interpolation adds to the latency.
    """

    def __init__(self, rate: int, channels: int) -> None:
        self.rate, self.channels = rate, channels
        self.estimator = DriftEstimator(rate)
        self._sinc = SincInterpolator()
        self.slips = 0  # times that the device's line was found elsewhere
        self._anchor_ns: int | None = None
        self._given = 0  # samples since the anchor
        self._count = 0  # samples taken from the device
        self._position = 0.0  # in device samples, of the next sample to be given
        self._held = np.zeros((0, channels), np.float32)
        self._held_from = 0
        self._silence = np.zeros((ns_to_samples(SILENCE_NS, rate), channels), np.float32)

    @property
    def delay_ns(self) -> int:
        return samples_to_ns(self._sinc.half, self.rate)

    @property
    def next_ns(self) -> int | None:
        """The instant of the next sample to be given; None before the first."""
        return None if self._anchor_ns is None else self._anchor_ns + samples_to_ns(self._given, self.rate)

    def follow(self, samples: Samples) -> list[AudioBlock]:
        """Take samples that came at a time that tells nothing: they follow on the line as it is."""
        self._held = np.concatenate([self._held, samples])
        self._count += len(samples)
        return self._give(self._count - 1 - self._sinc.half)

    @property
    def count(self) -> int:
        """Samples taken from the device."""
        return self._count

    def process(self, samples: Samples, time_ns: int, lost: bool = False) -> list[AudioBlock]:
        """Take the device's next samples (n, channels), the first captured at ``time_ns`` (with jitter).

        ``lost``: some are missing before these. What was lost is filled with silence marked ``gap``. Where the device
        jumps back untold, time goes back with it: no sample of it is dropped.
        """
        blocks: list[AudioBlock] = []
        if self._anchor_ns is None:
            self.anchor(time_ns)
            self._begin_segment(time_ns)
        elif not lost:
            self.estimator.update(self._count, time_ns)
            self.slips += self.estimator.jumped
        if lost or self.estimator.jumped:
            blocks += self._drain() + self.fill(time_ns)
            if not lost:
                self._go_back(time_ns)
            self._begin_segment(time_ns)
        return blocks + self.follow(samples)

    def fill(self, until_ns: int) -> list[AudioBlock]:
        """Silence marked ``gap`` from the last sample given up to ``until_ns``: while there is no device."""
        blocks = []
        start_ns = self.next_ns
        missing = 0 if start_ns is None else ns_to_samples(until_ns - start_ns, self.rate)
        while missing > 0:
            count = min(missing, len(self._silence))
            blocks.append(self._block(self._silence[:count], gap=True))
            missing -= count
        return blocks

    def anchor(self, time_ns: int) -> None:
        """Start the time line here, with no device to start it."""
        if self._anchor_ns is None:
            self._anchor_ns, self._given = time_ns, 0

    def rest(self) -> list[AudioBlock]:
        """The device pauses: what is still held. The next block begins at its own time, with no silence before it."""
        blocks = self._drain()
        self._held = self._held[:0]
        self._anchor_ns = None
        return blocks

    def _go_back(self, time_ns: int) -> None:
        if self.next_ns is not None and time_ns < self.next_ns:
            self._anchor_ns, self._given = time_ns, 0

    def _begin_segment(self, time_ns: int) -> None:
        self.estimator.restart(self._count, time_ns)
        self._held = np.zeros((self._sinc.half, self.channels), np.float32)
        self._held_from = self._count - self._sinc.half
        start_ns = self.next_ns
        assert start_ns is not None
        self._position = max(float(self._count), self.estimator.count_at(start_ns))

    def _drain(self) -> list[AudioBlock]:
        """What is still held, before a gap."""
        if len(self._held) == 0:  # no device has spoken yet
            return []
        self._held = np.concatenate([self._held, np.zeros((self._sinc.half + 1, self.channels), np.float32)])
        return self._give(self._count)

    def _give(self, last: int) -> list[AudioBlock]:
        """Give out up to device sample ``last``."""
        start_ns = self.next_ns
        assert start_ns is not None
        behind = self.estimator.count_at(start_ns) - self._position
        step = 1.0 / (1.0 + self.estimator.skew_ppm * 1e-6) + catch_up(behind, self.rate)
        count = math.ceil((last + 1 - self._position) / step) - 1
        if count <= 0:
            return []
        positions = self._position - self._held_from + step * np.arange(count)
        whole = np.floor(positions)
        values = self._sinc.at(self._held, whole.astype(np.intp), positions - whole)
        self._position += step * count
        self._forget()
        return [self._block(values, gap=False)]

    def _forget(self) -> None:
        drop = math.floor(self._position) - self._sinc.half + 1 - self._held_from
        if drop > 0:
            self._held = self._held[drop:]
            self._held_from += drop

    def _block(self, samples: Samples, gap: bool) -> AudioBlock:
        start_ns = self.next_ns
        assert start_ns is not None
        self._given += len(samples)
        return AudioBlock(samples, self.rate, start_ns, gap)
