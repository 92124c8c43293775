"""Enrolment: a person is shown to whoever learns, before the first mouth; and a person's bank as a file of its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice, takewhile
from pathlib import Path

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.media import NS, Frame
from realtime_dub.mouth.bank import Bank
from realtime_dub.mouth.calibration import CalibrationFrames, calibrate
from realtime_dub.mouth.contract import MouthGenerator, SupportsCalibration
from realtime_dub.mouth.people import People, Person
from realtime_dub.paths import Use, WholeFile, refuse_clashes
from realtime_dub.pipeline.process import one_blas_thread
from realtime_dub.sources.base import VideoSource, read_all
from realtime_dub.sources.registry import kind_of, open_video

Progress = Callable[[int, int | None], None]  # done, total; None = unknown

MAX_FRAMES = 3000  # two minutes: what a bank can hold is found long before
_SHOWN_NS = 20 * NS  # of a film, before it is dubbed
_SHOWN_FRAMES = 150


def show(tracked: Iterator[TrackedFrame], observe: Callable[[TrackedFrame], bool]) -> list[TrackedFrame]:
    """Show every frame to ``observe``; of those that it took, the ones to calibrate with."""
    kept = CalibrationFrames()
    for each in tracked:
        if observe(each):
            kept.show(each)
    return kept.chosen()


def show_film(video: VideoSource, generator: MouthGenerator, tracker: FaceTracker) -> None:
    """Let ``generator`` look at the person in a film's first 20 s, up to 150 frames evenly, and calibrate itself."""
    info = video.open()
    shown_ns = min(_SHOWN_NS, info.duration_ns or _SHOWN_NS)
    every = frames_between(info.fps, shown_ns)
    frames = takewhile(lambda frame: frame.pts_ns < _SHOWN_NS, read_all(video.read))

    def observe(tracked: TrackedFrame) -> bool:
        generator.observe(tracked)
        return True

    chosen = show((tracker.track(frame) for frame in frames if frame.seq % every == 0), observe)
    if isinstance(generator, SupportsCalibration):
        generator.calibrate(chosen, tracker)


def frames_between(fps: Fraction, shown_ns: int) -> int:
    """Every how many frames one is shown."""
    return max(1, math.ceil(fps * shown_ns / NS / _SHOWN_FRAMES))


def enroll(input: str, output: Path, *, face: str = "largest", progress: Progress | None = None) -> str:
    """Fill a bank from ``input`` and save it to ``output``; a line that says what was learnt.

    Where several people follow one another as the face that is chosen, the bank is that of the one who is seen most.
    Raises MediaError where the input cannot be read or shows no face, ConfigError where it is the output; then
    nothing is written.
    """
    kind = kind_of(input)
    if kind not in ("file", "image", "demo"):
        raise ConfigError("cannot enrol from", input, "record a minute of video first and name that file")
    refuse_clashes([Use(output, "-o")], [Use(input, "INPUT")])
    WholeFile(output)  # a minute of looking is too long to be for nothing
    source = open_video(input, clock=VirtualClock(), live=False)
    info = source.open()
    tracker, people = MediaPipeTracker(face), People(Bank())
    try:
        frames = islice(read_all(source.read), MAX_FRAMES if kind == "file" else 1)
        with one_blas_thread():
            person = _learn(_counted(frames, info.frames, progress), people, tracker, still=kind != "file")
    finally:
        tracker.close()
        source.close()
    if not person.looks:
        raise MediaError("cannot enrol", f"{input}: no face was found", "film the face from the front, in good light")
    person.bank.save(output)
    return _summary(output, person, len(people.known))


def _learn(frames: Iterator[Frame], people: People, tracker: FaceTracker, still: bool) -> Person:
    """The person who is seen most, learnt."""

    def observe(tracked: TrackedFrame) -> bool:
        if (seen := people.who(tracked)) is not None:
            seen.learn(tracked)
        return seen is not None

    chosen = show((tracker.track(frame) for frame in frames), observe)
    person = max(people.known, key=lambda each: each.looks)
    if not still:
        calibrate(person.bank, [each for each in chosen if people.nearest(each) is person], tracker)
    return person


def _counted(frames: Iterator[Frame], total: int | None, progress: Progress | None) -> Iterator[Frame]:
    for count, frame in enumerate(frames, 1):
        yield frame
        if progress is not None:  # it was looked at
            progress(count, total)


def _summary(output: Path, person: Person, people: int) -> str:
    mouths = person.bank.mouths
    widest = max(mouth.gap for mouth in mouths)
    hint = "" if widest > 0.08 else "; the mouth was hardly open: let the person speak for better teeth"
    others = "" if people == 1 else f"; of {people} people the one who is seen most"
    return f"{output}: {len(mouths)} mouths from {person.looks} frames{others}{hint}"
