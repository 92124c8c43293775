"""The person's own voice in a live run where another's is dubbed: what they say while an interpreter speaks for them.

It is never published. The generator learns from it how the person talks; it is given what has come of it where there
is time, and a stretch that there was no time for is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from realtime_dub.audio.samples import cleaned, is_clean
from realtime_dub.errors import BundleError, one_line
from realtime_dub.face.types import TrackedFrame
from realtime_dub.flow import AudioRing
from realtime_dub.media import MS, NS, AudioBlock, VoiceInfo
from realtime_dub.mouth.contract import LearnsOwnVoice
from realtime_dub.pipeline.voice_feeder import AudioFeeder, MakeResampler, mono_resampler

RING_NS = 3 * NS
MOST_NS = 120 * MS  # of sound that is heard for one frame: a millisecond or two of the engine's time
BEHIND_NS = NS  # a stretch longer than this is not caught up with
LOST_NS = 2 * NS  # of silence in place of lost sound, before it is told


class OwnMic:
    """Written by the microphone's thread, heard by the engine's."""

    def __init__(self, info: VoiceInfo, learner: LearnsOwnVoice, resampler: MakeResampler = mono_resampler) -> None:
        self.name = info.name
        self.tell: Callable[[str], None] = lambda note: None  # what the user should know at once; from any thread
        self._learner, self._resampler = learner, resampler
        self._ring = AudioRing(info.rate, info.channels, RING_NS)
        self._feeder: AudioFeeder | None = None
        self._lost_ns = 0  # without a break
        self._broken = self._told = False  # the generator can learn no more; why nothing is learnt was told

    # On the microphone's thread.

    def put(self, block: AudioBlock) -> None:
        """The next block."""
        if not is_clean(block.samples):
            block = replace(block, samples=cleaned(block.samples))
        self._ring.write(block)
        self._lost_ns = self._lost_ns + block.duration_ns if block.gap else 0
        if self._lost_ns >= LOST_NS:
            self._tell(f"the own microphone {self.name!r} gives no sound: nothing is learnt from it until it does")

    def end(self, error: BaseException | None) -> None:
        """No more comes. Of a file that is over there is nothing to tell."""
        if error is not None:
            self._over(error)

    def _over(self, error: BaseException) -> None:
        why = one_line(str(error)) or type(error).__name__
        self._tell(f"nothing more is learnt from the own microphone {self.name!r}: {why}")

    def _tell(self, note: str) -> None:
        """Once a run."""
        if not self._told:
            self._told = True
            self.tell(note)

    # On the engine's thread.

    def make_ready(self) -> None:
        """First runs load libraries and fill caches."""
        self._try(lambda: self._learner.hear_own(np.zeros(0, np.float32), 0))

    def teach(self, tracked: TrackedFrame) -> None:
        """Let the generator hear on, and see a frame that it has made a mouth for."""
        self._try(self._hear_on)
        self._try(lambda: self._learner.learn_own(tracked, live=True))

    def _try(self, work: Callable[[], None]) -> None:
        """A network that crashed in this ends nothing else."""
        try:
            if not self._broken:
                work()
        except BundleError as error:
            self._broken = True
            self._over(error)

    def _hear_on(self) -> None:
        end_ns = self._ring.end_ns
        if end_ns is None:
            return
        if self._feeder is None or end_ns - self._feeder.at_ns > BEHIND_NS:
            start_ns = self._ring.snap(end_ns - MOST_NS)
            self._feeder = AudioFeeder(self._ring, self._learner.hear_own, start_ns, self._resampler)
        self._feeder.hear_until(min(end_ns, self._feeder.at_ns + MOST_NS))

    @property
    def notes(self) -> list[str]:
        """At the end: why nothing came of it."""
        learnt = self._learner.own_voice
        if learnt.frames or self._told:
            return []
        why = "no sound came" if not learnt.heard_s else "nobody was seen and heard speaking with it for long enough"
        return [f"nothing was learnt from the own microphone {self.name!r}: {why}"]
