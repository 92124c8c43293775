"""An avatar moved without nets of its own: the mouth by the default engine's net, the head as the recording has it.

Behind the same interface as the trained motion. The stored stretch of head motion is played forwards and backwards
without end, blinks included.
"""

from __future__ import annotations

import numpy as np

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS, Samples
from realtime_dub.mouth.avatar.folder import Person
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.contract import Latency
from realtime_dub.mouth.gate import SpeechGate
from realtime_dub.mouth.mouthbank.motion_nets import open_motion

COMPUTE_NS = 3 * MS


class RecordedMotion:
    """One voice, and one person."""

    def __init__(self, person: Person, fps: int, backend: str = AUTO) -> None:
        self._net = open_motion(load_default("mouthbank"), backend)
        self._person, self._period_ns = person, NS // fps
        self._width = np.float32(mouth_width(person.neutral))
        self._gate = SpeechGate()
        self._net.meet(person.neutral)

    def latency(self) -> Latency:
        return Latency(self._net.look_ahead_ns, self._net.front_end_ns + self._net.hop_ns, COMPUTE_NS)

    def hear(self, samples: Samples, at_ns: int) -> None:
        """Sound, 16 kHz, shape (n,), without holes; ``at_ns`` is its first sample's instant."""
        self._net.hear(samples, at_ns)

    def heard_until_ns(self) -> int:
        """:meth:`at` may be asked for instants up to this one."""
        return self._net.heard_until_ns()

    def at(self, at_ns: int) -> AvatarPose:
        """What the avatar does at an instant; asked for instants that rise."""
        motion = self._net.at(at_ns)
        share = self._gate(motion.speech, at_ns) if motion.plausible else 0.0
        number, other, part = swung(at_ns / self._period_ns, len(self._person))
        upper = self._person.upper
        canonical = self._person.neutral + (1 - part) * upper[number] + part * upper[other]
        canonical[LOWER] += motion.displacement * self._width * np.float32(share)
        return AvatarPose(canonical.astype(np.float32), self._person.between(number, other, float(part)))


def swung(place: float, count: int) -> tuple[int, int, np.float32]:
    """Two frames of a stretch of ``count`` that is played back and forth, and how far from the one to the other.

    >>> [swung(place, 4)[0] for place in range(9)]
    [0, 1, 2, 3, 2, 1, 0, 1, 2]
    """
    if count == 1:
        return 0, 0, np.float32(0)
    swing = 2 * (count - 1)
    before = int(np.floor(place))
    first, second = (min(each % swing, swing - each % swing) for each in (before, before + 1))
    return first, second, np.float32(place - before)
