"""One tick where time is no object: the mouth for a frame, and the frame with it. Used by files and by the Dubber."""

from __future__ import annotations

from collections.abc import Sequence

from realtime_dub.blend.composite import Reads, box_on, shows
from realtime_dub.blend.patch import MouthPatch
from realtime_dub.media import ALL, NS, Coded, Image
from realtime_dub.mouth.contract import MouthGenerator
from realtime_dub.pipeline.contracts import Compositor
from realtime_dub.pipeline.marking import Marks
from realtime_dub.pipeline.schedule import Fallback, Outcome, TickComposition, TrackedSample
from realtime_dub.pipeline.voice_feeder import Made, Sound, VoiceFeeder, needs_ns, resampler_delay_ns


class MouthMaker:
    """Lets a generator hear as far as each frame needs, and asks it for the mouth. On one thread, frames in order."""

    def __init__(self, generator: MouthGenerator, audio: Sound, first_ns: int, ahead_ns: int = 0) -> None:
        """``audio`` is read from a second before ``first_ns`` on, the time of the first frame.

        ``ahead_ns``: so much more is heard at once, where audio is there already: a net that is asked for a long
        stretch takes hardly more time than for a short one.
        """
        self._feeder, self._ahead_ns = VoiceFeeder(audio, generator, first_ns - NS), ahead_ns
        self.needs_ns = needs_ns(generator, resampler_delay_ns(audio.rate))  # of audio after a frame's time

    def make(self, samples: Sequence[TrackedSample]) -> list[Made]:
        """For one frame, or for as many as the engine takes together."""
        needed_ns = samples[-1].capture_ns + self.needs_ns
        if needed_ns > self._feeder.at_ns:
            self._feeder.hear_until(needed_ns + self._ahead_ns)
        return self._feeder.mouths([(each.tracked, each.capture_ns) for each in samples])

    def no_voice(self, name: str) -> str | None:
        """What there is to say where ``name`` had no voice in it."""
        return self._feeder.no_voice(name)


class FrameComposer:
    """Puts mouths into frames, in order."""

    def __init__(self, compositor: Compositor, marks: Marks | None = None) -> None:
        self._compositor, self._fallback, self._marks = compositor, Fallback(), marks

    def marked(
        self, sample: TrackedSample, made: Made, reads: Reads | None = None
    ) -> tuple[Image, Coded | None, TickComposition]:
        """What ``compose`` makes, marked, and the coded picture that it is made of."""
        tracked, marks = sample.tracked, self._marks
        if marks is None:
            image, composition = self.compose(sample, made, reads)
            return image, tracked.frame.coded, composition
        if marks.looks:
            reads = None
        image, composition = self.compose(sample, made, reads)
        drawn = composition.patch
        parts = reads.parts(box_on(tracked, drawn)) if reads is not None and isinstance(drawn, MouthPatch) else (ALL,)
        image, coded = marks.frame(tracked.frame, image, drawn, parts)
        return image, coded, composition

    def compose(self, sample: TrackedSample, made: Made, reads: Reads | None = None) -> tuple[Image, TickComposition]:
        """The frame's own image where nothing is put into it; ``reads`` as the compositor has it."""
        tracked = sample.tracked
        outcome: Outcome = "missed" if made.implausible else "result"
        if tracked.face is None and not shows(made.patch, tracked):
            outcome = "lost"
        composition = self._fallback.step(outcome, made.patch, tracked.shot)
        if composition.patch is None or not shows(composition.patch, tracked):
            return tracked.frame.image, composition
        return self._compositor.compose(tracked, composition.patch, composition.weight, reads), composition
