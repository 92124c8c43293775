"""One tick where time is no object: the mouth for a frame, and the frame with it. Used by files and by the Dubber."""

from __future__ import annotations

from dataclasses import dataclass

from realtime_dub.media import NS, Blendshapes, Image
from realtime_dub.mouth.contract import MouthGenerator, MouthPatch, blendshapes_of
from realtime_dub.pipeline.contracts import Compositor
from realtime_dub.pipeline.schedule import Fallback, Outcome, TickComposition, TrackedSample
from realtime_dub.pipeline.voice_feeder import Sound, VoiceFeeder, askable_ns, needs_ns, resampler_delay_ns


@dataclass(frozen=True, slots=True, eq=False)
class Mouth:
    """What the engine gave for one frame."""

    patch: MouthPatch | None
    blendshapes: Blendshapes | None


class MouthMaker:
    """Lets a generator hear as far as each frame needs, and asks it for the mouth. On one thread, frames in order."""

    def __init__(self, generator: MouthGenerator, audio: Sound, first_ns: int) -> None:
        """``audio`` is read from a second before ``first_ns`` on, the time of the first frame."""
        self._generator = generator
        self._feeder = VoiceFeeder(audio, generator, first_ns - NS)
        self.needs_ns = needs_ns(generator, resampler_delay_ns(audio.rate))  # of audio after a frame's time

    def make(self, sample: TrackedSample) -> Mouth:
        self._feeder.hear_until(sample.capture_ns + self.needs_ns)
        at_ns = askable_ns(self._generator, sample.capture_ns)
        patch = None if at_ns is None else self._generator.generate(sample.tracked, at_ns)
        self._feeder.heard.mouth(sample.tracked, patch)
        return Mouth(patch, None if at_ns is None else blendshapes_of(self._generator))

    def no_voice(self, name: str) -> str | None:
        """What there is to say where ``name`` had no voice in it."""
        return self._feeder.no_voice(name)


class FrameComposer:
    """Puts mouths into frames, in order."""

    def __init__(self, compositor: Compositor) -> None:
        self._compositor, self._fallback = compositor, Fallback()

    def compose(self, sample: TrackedSample, patch: MouthPatch | None) -> tuple[Image, TickComposition]:
        """The frame's own image where nothing is put into it."""
        tracked = sample.tracked
        outcome: Outcome = "lost" if tracked.face is None else "result"
        composition = self._fallback.step(outcome, patch, tracked.shot)
        if composition.patch is None or tracked.face is None:
            return tracked.frame.image, composition
        return self._compositor.compose(tracked, composition.patch, composition.weight), composition
