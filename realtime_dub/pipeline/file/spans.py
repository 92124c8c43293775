"""How long each frame of a file is shown, and where the result ends.

The video decides: a longer voice is cut, a shorter one is followed by silence; ``extend`` holds the last frame until
the voice ends. Where the video has no end of its own, a still or the built-in face, the voice decides.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

from realtime_dub.media import MS, NS
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.schedule import TrackedSample

WORTH_NS = 100 * MS  # less of a voice than this is not worth a word: a codec's last block is filled up
Span = tuple[TrackedSample, int]  # a frame, and for how many ns it is shown


@dataclass(frozen=True, eq=False)
class Spans:
    """The rules of one run. ``note`` is given what there is to say of the ends."""

    voice: PulledVoice
    fps: Fraction
    note: Callable[[str], object]
    endless: bool  # the video has no end of its own
    cut: bool  # at so many seconds that were asked for
    extend: bool

    def of(self, tracked: Iterator[TrackedSample]) -> Iterator[Span]:
        """Each frame until the next one's time; then what comes after the last."""
        last: TrackedSample | None = None
        for sample in tracked:
            if self.endless and not self.voice.goes_on(sample.capture_ns):
                break
            if last is not None:
                yield last, sample.capture_ns - last.capture_ns
            last = sample
        if last is not None:
            duration_ns = last.tracked.frame.duration_ns or round(NS / self.fps)
            yield last, duration_ns
            yield from self._after(last, last.capture_ns + duration_ns)

    def _after(self, last: TrackedSample, end_ns: int) -> Iterator[Span]:
        """The last frame held, at the nominal rate, until the voice ends."""
        if self.endless or self.cut:
            return
        if not self.voice.goes_on(end_ns):
            self._note_shorter(end_ns)
            return
        if not self.extend and not self.voice.goes_on(end_ns + WORTH_NS):
            return
        if not self.extend:
            self.note("the voice is longer than the picture and is cut; --extend holds the last picture")
            return
        for count in itertools.count():
            at_ns, next_ns = (end_ns + int(k * NS / self.fps) for k in (count, count + 1))
            if not self.voice.goes_on(at_ns):
                return
            frame = replace(last.tracked.frame, pts_ns=at_ns, seq=last.tracked.frame.seq + 1 + count)
            yield TrackedSample(replace(last.tracked, frame=frame)), next_ns - at_ns

    def _note_shorter(self, end_ns: int) -> None:
        missing_ns = end_ns - self.voice.end_ns
        if missing_ns > WORTH_NS:
            self.note(f"the voice ends {missing_ns / NS:.1f} s before the picture: silence from there on")
