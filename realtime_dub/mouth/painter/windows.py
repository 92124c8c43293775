"""The voice as a painter hears it: a window of audio features for any instant, and whether somebody speaks there.

Feature i is the sound around ``origin + i * hop``. A window ends with the feature that lies the declared look-ahead
behind its instant; what lies before the first sample is silence.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.audio.frontends import open_front_end
from realtime_dub.audio.frontends.windows import last_frame
from realtime_dub.audio.samples import cleaned
from realtime_dub.inference.spec import CropTaskSpec
from realtime_dub.media import MS, NS, Floats, Samples, samples_to_ns
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.mouth.loudness import Loudness

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
