"""The voice as a painter hears it: a window of audio features for any instant, and whether somebody speaks there.

Feature i is the sound around ``origin + i * hop``. A window ends with the feature that lies the declared look-ahead
behind its instant; what lies before the first sample is silence.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.windows import last_frame
from realtime_dub.audio.samples import cleaned
from realtime_dub.inference.spec import CropTaskSpec
from realtime_dub.media import MS, NS, Floats, Samples, ns_to_samples, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE

HISTORY_NS = 150 * NS  # frames of a file that go together may be far apart
JUMP_NS = 10 * MS  # sound that starts further than this from where the last ended starts a new stream
NEVER_NS = -(1 << 62)


class VoiceWindows:
    """One voice, at ``VOICE_RATE``. Not thread-safe."""

    def __init__(self, spec: CropTaskSpec) -> None:
        self._spec, self._hop_ns = spec, spec.audio.hop_ns
        self._front_end = open_front_end(spec.audio)
        self._silence = self._of_silence()
        self._kept = np.zeros((HISTORY_NS // self._hop_ns, spec.audio.features), np.float32)
        self.loudness = Loudness()
        self._restart(None)

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """Sound (n,), its first sample at ``pts_ns``; consecutive calls without holes."""
        if self._origin_ns is None or abs(pts_ns - self._end_ns()) > JUMP_NS:
            self._restart(pts_ns)
        self._samples += len(samples)
        samples = cleaned(samples)
        self.loudness.hear(samples)
        made = self._front_end.process(samples)[-len(self._kept) :]
        count = self._front_end.frames
        self._kept[np.arange(count - len(made), count) % len(self._kept)] = made

    def heard_until_ns(self) -> int:
        """The newest instant whose window is complete; far in the past before the first sound."""
        if self._origin_ns is None:
            return NEVER_NS
        newest_ns = self._origin_ns + (self._front_end.frames - 1) * self._hop_ns
        return newest_ns + self._hop_ns // 2 - 1 - self._spec.look_ahead_ns

    def window(self, at_ns: int) -> Floats:
        """The features (window_frames, features) for the mouth at ``at_ns``."""
        hops, heard = self._spec.window_frames, self._front_end.frames
        if self._origin_ns is None:
            return np.asarray(np.tile(self._silence, (hops, 1)))
        last = last_frame(self._spec.audio, at_ns - self._origin_ns, self._spec.look_ahead_ns)
        places = np.arange(last - hops + 1, last + 1)
        found = np.asarray(self._kept[places % len(self._kept)], np.float32)
        outside = (places < max(0, heard - len(self._kept))) | (places >= heard)
        found[outside] = self._silence
        return found

    def speaks(self, at_ns: int) -> bool:
        """Somebody is heard at ``at_ns``, or will be in a moment."""
        return self._origin_ns is not None and self.loudness.speaks(at_ns - self._origin_ns)

    def _end_ns(self) -> int:
        assert self._origin_ns is not None
        return self._origin_ns + samples_to_ns(self._samples, VOICE_RATE)

    def _restart(self, origin_ns: int | None) -> None:
        self._origin_ns, self._samples = origin_ns, 0
        self._front_end.reset()
        self.loudness.reset()

    def _of_silence(self) -> Floats:
        """A feature of nothing at all (features,)."""
        spec = self._spec.audio
        made = self._front_end.process(np.zeros(2 * spec.window, np.float32))
        return np.asarray(made[-1].copy())


class Loudness:
    """Tells speech from the quiet around it by its level, in steps of 10 ms.

    The quiet is the least that a few steps in a row stayed below, of the last second and a half (Martin 2001): a single
    one without any sound, as codecs begin with, says nothing of the place, and a pause of a file soon no more.
    """

    STEP = VOICE_RATE // 100  # samples
    LENGTH = 15_000  # steps that are remembered: as many as windows
    LEAST_DB, ABOVE_DB = -52.0, 10.0  # of full scale; above the quiet of the place
    ROOM_DB, MOST_DB = -42.0, -30.0  # the quiet that is expected before any was heard; the loudest that is one
    ROW, WINDOW = 5, 150  # steps
    BEFORE, AFTER = 3, 5  # steps around an instant
    LOUD = 3  # of these have to be: a click is no voice

    def __init__(self) -> None:
        self._speech = np.zeros(self.LENGTH, np.bool_)
        self.reset()

    def reset(self) -> None:
        self._rest = np.zeros(0, np.float32)
        self._count = 0
        self._levels = deque([0.0] * self.ROW, self.ROW)  # before the first nothing is known to be quiet
        self._quiets = deque([self.ROOM_DB], self.WINDOW)

    def hear(self, samples: Floats) -> None:
        heard = np.concatenate([self._rest, np.asarray(samples, np.float32)])
        steps = len(heard) // self.STEP
        self._rest = heard[steps * self.STEP :]
        blocks = heard[: steps * self.STEP].reshape(steps, self.STEP).astype(np.float64)
        for level in 10 * np.log10((blocks**2).mean(1) + 1e-12):
            self._step(float(level))

    def _step(self, level: float) -> None:
        self._levels.append(level)
        self._quiets.append(max(self._levels))
        quiet = min(self.MOST_DB, *self._quiets)
        self._speech[self._count % self.LENGTH] = level > max(self.LEAST_DB, quiet + self.ABOVE_DB)
        self._count += 1

    def speaks(self, since_ns: int) -> bool:
        """``since_ns``: from the first sample."""
        at = ns_to_samples(since_ns, VOICE_RATE) // self.STEP
        first, end = max(at - self.BEFORE, 0, self._count - self.LENGTH), min(at + self.AFTER + 1, self._count)
        return int(self._speech[np.arange(first, end) % self.LENGTH].sum()) >= self.LOUD
