"""The contract of a mouth generator, and what the pipeline hands from generator to composite.

A generator hears one stream of sound and looks at one person. All its state is in itself; weights are shared.
The pipeline calls, on one engine thread and in this order: ``hear`` for every new block of sound, ``observe`` for
tracked frames as time allows, ``generate`` once per output tick. ``compose`` of a patch runs on another thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, TypeAlias, runtime_checkable

from realtime_dub.blend.patch import MouthPatch, WholeFrame
from realtime_dub.face.types import FaceTracker, Points, TrackedFrame
from realtime_dub.media import NS, Blendshapes, Samples
from realtime_dub.mouth.quality import Quality, WorksAt
from realtime_dub.mouth.silence import Silence, SilenceShows

__all__ = [
    "HEARD_AHEAD_NS",
    "VOICE_RATE",
    "Generated",
    "GeneratesBatches",
    "GivesBlendshapes",
    "GivesLandmarks",
    "HasStrength",
    "HasTerms",
    "Hear",
    "Identity",
    "IdentityKind",
    "ImplausibleMouth",
    "Latency",
    "LearnsIdentity",
    "LearnsLater",
    "LearnsOwnVoice",
    "MouthGenerator",
    "MouthPatch",
    "OwnVoiceLearnt",
    "RestsInSilence",
    "ScalesWork",
    "SparesWork",
    "SupportsCalibration",
    "WholeFrame",
    "blendshapes_of",
    "landmarks_of",
]

VOICE_RATE = 16_000  # Hz, mono: what every generator hears
HEARD_AHEAD_NS = NS  # of a frame, where both are there: more than any look-ahead
Generated: TypeAlias = MouthPatch | WholeFrame
Hear: TypeAlias = Callable[[Samples, int], None]  # sound, 16 kHz (n,), and when its first sample was captured, ns


@dataclass(frozen=True, slots=True)
class Latency:
    """What a generator declares before it starts, for the latency budget."""

    look_ahead_ns: int  # sound needed from after the instant of the picture
    front_end_ns: int  # half an analysis window, and whatever the front end delays
    compute_ns: int  # expected p95 of one ``generate``, until measured


class ImplausibleMouth(Exception):
    """What a generator made for an instant can be no mouth, and is not shown. The next one may be again."""


class MouthGenerator(Protocol):
    """Turns sound and the live face into mouths."""

    name: str
    bundle: str  # name and version of what it runs, for the statistics
    backend: str  # what runs it, for the statistics; "none" where nothing does

    def latency(self) -> Latency:
        """Declared before the start."""

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """Sound, 16 kHz, shape (n,), without holes; ``pts_ns`` is its first sample's capture."""

    def heard_until_ns(self) -> int:
        """``generate`` may be asked for instants up to this one."""

    def observe(self, tracked: TrackedFrame) -> None:
        """A look at the person, to learn from. Cheap; not every frame need be shown."""

    def generate(self, tracked: TrackedFrame, at_ns: int) -> Generated | None:
        """The mouth for the voice at ``at_ns`` on this frame, or a whole frame. None = the live one stays (silence, no
        face). A patch is shown where there is a face, a whole frame everywhere.

        The way from the live mouth to the dubbed one and back is the generator's: it begins and ends near None.
        Raises ImplausibleMouth. A BundleError, here and from the others, ends it: no call will be any better.
        """

    def close(self) -> None:
        """Release what is held. Idempotent."""


@runtime_checkable
class GivesBlendshapes(Protocol):
    """A generator that can tell, beside the picture, how a character's mouth would move."""

    def blendshapes(self) -> Blendshapes:
        """The mouth of the last ``generate``, faded in and out like it, whether or not there was a face to draw on."""


@runtime_checkable
class GivesLandmarks(Protocol):
    """A generator that knows where the lips are that it has drawn."""

    def landmarks(self) -> Points | None:
        """The 68 landmarks (68, 2) of the last ``generate``'s frame with its mouth, pixels (``face/scheme68.py``).

        None where there was no face.
        """


@runtime_checkable
class GeneratesBatches(Protocol):
    """A generator that makes several mouths of a file in less time than one by one."""

    def generate_batch(self, asked: Sequence[tuple[TrackedFrame, int]]) -> Sequence[Generated | None]:
        """``generate`` for each, in order: as many as its engine's ``file_batch``, or as was asked for."""


@runtime_checkable
class HasBundle(Protocol):
    """A generator whose network has a file of which the hash is known."""

    bundle: str
    bundle_sha256: str


@runtime_checkable
class HasTerms(Protocol):
    """A generator that runs what others have terms for: they are said when a run begins."""

    terms: str  # one line; "" = none


@runtime_checkable
class HasStrength(Protocol):
    """A generator whose mouths move more or less, as one likes."""

    strength: float  # 0..2, 1 = as learnt; may be changed at any time


@runtime_checkable
class RestsInSilence(Protocol):
    """A generator that can shut the mouth while the voice is silent."""

    silence: Silence  # may be changed at any time

    @property
    def silence_shows(self) -> SilenceShows:
        """What is shown in silence now."""


@runtime_checkable
class SparesWork(Protocol):
    """A generator that can do without something for a while, where live mouths would come too late."""

    short: bool  # the machine has little time; may be changed at any time


@runtime_checkable
class LearnsLater(Protocol):
    """A generator that learns from what it makes mouths for."""

    learns_later: bool  # when it is next shown a frame to observe: no mouth waits for it; may be changed at any time


@runtime_checkable
class ScalesWork(Protocol):
    """A generator that can work on smaller pictures, which takes less time and shows less detail."""

    quality: Quality  # what was asked for; with ``auto`` the pipeline decides
    works_at: WorksAt  # what is used; may be changed at any time, on the thread that generates


class FramePicker(Protocol):
    """Keeps a few of many frames."""

    def show(self, tracked: TrackedFrame) -> None:
        """One more; kept for now, or not."""

    def chosen(self) -> list[TrackedFrame]:
        """Those that were kept."""


@runtime_checkable
class SupportsCalibration(Protocol):
    """A generator that gains from seeing its mouths drawn before the first one is shown."""

    def frames_to_calibrate(self) -> FramePicker:
        """What picks, of the frames that are shown to it, those to calibrate with."""

    def calibrate(self, frames: Sequence[TrackedFrame], tracker: FaceTracker) -> None:
        """After the person was observed, where there is time: those frames, and a tracker to read drafts."""


Progress = Callable[[int, int | None], None]  # done, total; None = unknown
Called = Callable[[str], Progress]  # by what is done


@dataclass(frozen=True, slots=True)
class OwnVoiceLearnt:
    """What came of a person's own voice."""

    heard_s: float = 0.0  # of it beside the voice that is dubbed
    frames: int = 0  # that were learnt from, with either voice, where it was theirs
    tuned: int = 0  # of these, by how many the net itself was tuned
    late_ms: float | None = None  # by how much the picture comes behind that voice; None = it is not known


@runtime_checkable
class LearnsOwnVoice(Protocol):
    """A generator that gets to know how the person talks from frames of them with their own voice."""

    @property
    def learns_own(self) -> bool:
        """It was not asked to leave that, and what it runs can."""

    @property
    def own_voice(self) -> OwnVoiceLearnt:
        """So far."""

    def begin_own(self, tunes: bool, progress: Progress | None = None) -> None:
        """What comes is a film's, whose end is told. ``tunes``: there is time to tune the net itself then.

        ``progress``: of that.
        """

    def hear_own(self, samples: Samples, pts_ns: int) -> None:
        """The person's own voice as :meth:`MouthGenerator.hear` has the one that is dubbed: on the frames' clock.

        Behind a hole it begins anew. No samples at all let the generator make ready.
        """

    def learn_own(self, tracked: TrackedFrame, live: bool = False) -> None:
        """A frame in which the person may speak with that voice, in order; its sound may come later.

        ``live``: learn as it comes; else with :meth:`finish_own`, when all was seen.
        """

    def finish_own(self) -> None:
        """That was all."""


class Identity(Protocol):
    """What an engine knows of one person."""

    frozen: bool  # the resting face is held as it is

    @property
    def known(self) -> bool:
        """Somebody was seen."""

    def copy(self) -> Self:
        """Another one that knows the same; two streams never share one."""

    def save(self, path: Path, plain: bool = False) -> None:
        """Into a file of its own; ``plain``: nothing in it is coded or packed. Raises BundleError for nobody."""


@runtime_checkable
class LearnsIdentity(Protocol):
    """A generator that gets to know the person."""

    @property
    def identity(self) -> Identity:
        """Of the person who is dubbed, or was last."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What came of enrolling a person."""

    identity: Identity
    frames: int  # in which the person was seen; 0 = nobody was
    summary: str  # one line


class OwnVoice(Protocol):
    """The voice of the person in a film, beside its frames."""

    def hear_until(self, until_ns: int, hear: Hear) -> None:
        """Let ``hear`` have what it has not had yet, up to that instant of the frames' clock."""


class IdentityKind(Protocol):
    """What an engine learns of people, without a generator: from files, and for them."""

    def empty(self) -> Identity:
        """Of nobody yet."""

    def read(self, data: bytes, name: str, plain: bool = False) -> Identity:
        """What ``Identity.save`` wrote; ``plain``: only what was saved so, and no decoder is run. Raises BundleError;
        ``name`` is for the message.
        """

    def learn(
        self,
        tracked: Iterator[TrackedFrame],
        tracker: FaceTracker,
        still: bool,
        voice: OwnVoice | None = None,
        progress: Progress | None = None,
    ) -> Learnt:
        """The person who is seen most in ``tracked``; ``still``: they are one photograph; ``voice``: theirs, maybe.

        ``progress``: of what takes long once all frames have come.
        """


def blendshapes_of(generator: MouthGenerator) -> Blendshapes | None:
    """The mouth of the last ``generate``; None from a generator that has no such thing."""
    made = getattr(generator, "blendshapes", None)  # asked in every frame: a protocol takes 20 times as long
    return None if made is None else made()


def landmarks_of(generator: MouthGenerator) -> Points | None:
    """Of the last ``generate``; None from a generator that has no such thing."""
    made = getattr(generator, "landmarks", None)
    return None if made is None else made()
