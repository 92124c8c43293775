"""Which motion an avatar has: that of its own nets where there are any, else that of the recording."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

from realtime_dub.inference.bundle import SPEC
from realtime_dub.media import Samples
from realtime_dub.mouth.avatar.folder import Person
from realtime_dub.mouth.avatar.motion import EXPRESSION, HEAD, AvatarMotion
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.mouth.avatar.recorded import RecordedMotion
from realtime_dub.mouth.avatar.upper import Upper
from realtime_dub.mouth.contract import Latency

Head = Literal["auto", "recorded"]


class Motion(Protocol):
    """One voice, and what the avatar does with it."""

    def latency(self) -> Latency:
        """Of the motion alone."""

    def hear(self, samples: Samples, at_ns: int) -> None:
        """Sound, 16 kHz, shape (n,), without holes; ``at_ns`` is its first sample's instant."""

    def heard_until_ns(self) -> int:
        """:meth:`at` may be asked for instants up to this one."""

    def at(self, at_ns: int) -> AvatarPose:
        """What the avatar does at an instant."""


def open_motion(folder: Path, person: Person, fps: int, head: Head, backend: str) -> Motion:
    """Of the avatar in ``folder``. Raises BundleError."""
    own = all((folder / part / SPEC).is_file() for part in (EXPRESSION, HEAD))
    if own and head == "auto":
        return AvatarMotion(folder, backend, upper=Upper(person.neutral, person.upper, fps))
    return RecordedMotion(person, fps, backend)
