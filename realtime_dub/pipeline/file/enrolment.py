"""Enrolment: a person's bank from a video or a picture, in seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError, EndOfStream, MediaError
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.mouth.bank import Bank
from realtime_dub.mouth.people import People
from realtime_dub.mouth.proof import Pictures, prove
from realtime_dub.paths import Use, WholeFile, refuse_clashes
from realtime_dub.pipeline.file.run import Progress
from realtime_dub.pipeline.process import one_blas_thread
from realtime_dub.sources.base import VideoSource

MAX_FRAMES = 3000  # two minutes: what a bank can hold is found long before


def enroll(input: str, output: Path, *, face: str = "largest", progress: Progress | None = None) -> str:
    """Fill a bank from ``input`` and save it to ``output``; a line that says what was learnt.

    Where several people follow one another as the face that is chosen, the bank is that of the one who is seen most.
    Raises MediaError where the input cannot be read or shows no face, ConfigError where it is the output; then
    nothing is written.
    """
    from realtime_dub.sources.registry import kind_of, open_video

    kind = kind_of(input)
    if kind not in ("file", "image", "demo"):
        raise ConfigError("cannot enrol from", input, "record a minute of video first and name that file")
    refuse_clashes([Use(output, "-o")], [Use(input, "INPUT")])
    WholeFile(output)  # a minute of looking is too long to be for nothing
    source = open_video(input, clock=VirtualClock(), live=False)
    info = source.open()
    people, tracker, pictures = People(Bank()), MediaPipeTracker(face), Pictures()
    try:
        with one_blas_thread():
            for tracked in _looked(source, tracker, MAX_FRAMES if kind == "file" else 1, info.frames, progress):
                if (seen := people.who(tracked)) is not None:
                    seen.learn(tracked)
                    pictures.show(tracked)
            person = max(people.known, key=lambda each: each.looks)
            if kind == "file":
                prove(person.bank, [each for each in pictures.chosen() if people.nearest(each) is person], tracker)
    finally:
        tracker.close()
        source.close()
    if not person.looks:
        raise MediaError("cannot enrol", f"{input}: no face was found", "film the face from the front, in good light")
    bank = person.bank
    bank.save(output)
    widest = max(mouth.gap for mouth in bank.mouths)
    hint = "" if widest > 0.08 else "; the mouth was hardly open: let the person speak for better teeth"
    others = "" if len(people.known) == 1 else f"; of {len(people.known)} people the one who is seen most"
    return f"{output}: {len(bank.mouths)} mouths from {person.looks} frames{others}{hint}"


def _looked(
    source: VideoSource, tracker: FaceTracker, most: int, frames: int | None, progress: Progress | None
) -> Iterator[TrackedFrame]:
    """The source's first frames with the face in them."""
    for count in range(1, 1 + most):
        try:
            yield tracker.track(source.read())
        except EndOfStream:
            return
        if progress is not None:
            progress(count, frames)
