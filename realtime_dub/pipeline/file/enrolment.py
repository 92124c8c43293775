"""Enrolment: a person is shown to an engine before the first mouth; and what it learns as a file of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import TypeVar

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import (
    HEARD_AHEAD_NS,
    Called,
    Identity,
    LearnsOwnVoice,
    MouthGenerator,
    Progress,
    SupportsCalibration,
)
from realtime_dub.paths import Use, WholeFile, refuse_clashes
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.looks import Looks, tracked_ahead
from realtime_dub.pipeline.file.own_voice import FilmVoice, film_voice
from realtime_dub.pipeline.process import one_thread_each
from realtime_dub.sources.base import VideoSource, read_all
from realtime_dub.sources.registry import kind_of, open_video
from realtime_dub.trust.consent import CarriesConsent, give, warning

T = TypeVar("T")

MAX_FRAMES = 15_000  # ten minutes: looks are learnt in one, and how a person talks the better the longer


def show_film(
    film: Callable[[], VideoSource],
    generator: MouthGenerator,
    tracker: FaceTracker,
    voice: FilmVoice | None = None,
    cut_ns: int | None = None,
    before: Called | None = None,
) -> None:
    """Let ``generator`` look at the person in a film's first 20 s, up to 150 frames evenly, and calibrate itself.

    Where the film's own ``voice`` is given, it also learns how people talk (:class:`Looks` says from how much of it).
    ``film`` opens it, each time from its start; ``cut_ns``: no more of it is dubbed; ``before``: as in :func:`show`.
    """
    with closing(film()) as video:
        looks = Looks.of(video.open(), learner(generator, voice) is not None, cut_ns)
        with tracked_ahead(looks.frames(video, film), tracker) as seen:
            show(looks, seen, generator, tracker, voice, before)


def learner(generator: MouthGenerator, voice: FilmVoice | None) -> LearnsOwnVoice | None:
    """``generator``, where it can learn how the person talks."""
    return generator if voice is not None and isinstance(generator, LearnsOwnVoice) and generator.learns_own else None


def show(
    looks: Looks,
    seen: Iterator[TrackedFrame],
    generator: MouthGenerator,
    tracker: FaceTracker,
    voice: FilmVoice | None = None,
    before: Called | None = None,
) -> None:
    """As :func:`show_film`, with what was ``seen`` by ``looks``; ``tracker`` is free once all of it has come.

    ``before``: progress, by the name of what is done.
    """
    learns = learner(generator, voice)
    if learns is not None:
        learns.begin_own(looks.tunes, before and before("learning how you talk"))
    calibrates = generator if isinstance(generator, SupportsCalibration) else None
    picker = calibrates.frames_to_calibrate() if calibrates else None
    for tracked in _counted(seen, None, before and before("looking")):
        if looks.at(tracked.frame):
            generator.observe(tracked)
            if picker is not None:
                picker.show(tracked)
        if learns is not None and voice is not None:
            voice.hear_until(tracked.frame.pts_ns + HEARD_AHEAD_NS, learns.hear_own)
            learns.learn_own(tracked)
    if learns is not None:
        learns.finish_own()
    if calibrates is not None and picker is not None:
        calibrates.calibrate(picker.chosen(), tracker)


def enroll(
    input: str,
    output: Path,
    *,
    engine: str = registry.DEFAULT,
    face: str = "largest",
    learn: bool = True,
    consent: str | None = None,
    progress: Progress | None = None,
    learning: Progress | None = None,
) -> str:
    """Let ``engine`` learn the person in ``input`` and save that to ``output``; a line that says what was learnt.

    ``learn``: how the person talks, too, where the film has their voice. ``consent``: the name of whoever confirmed
    that this face may be dubbed; it is recorded in the file. ``learning``: progress of what follows the frames.

    Raises MediaError where the input cannot be read or shows no face, ConfigError where it is the output, or where the
    engine learns nothing; then nothing is written.
    """
    learner = registry.identity_kind(engine)
    kind = kind_of(input)
    if kind not in ("file", "image", "demo"):
        raise ConfigError("cannot enrol from", input, "record a minute of video first and name that file")
    refuse_clashes([Use(output, "-o")], [Use(input, "INPUT")])
    WholeFile(output)  # a minute of looking is too long to be for nothing
    source = open_video(input, clock=VirtualClock(), live=False)
    info = source.open()
    tracker = assembly.make_tracker(face, at_once=True)
    try:
        frames = islice(read_all(source.read), MAX_FRAMES if kind == "file" else 1)
        own = film_voice(input) if learn and kind == "file" else nullcontext(None)
        with one_thread_each(), own as voice, tracked_ahead(frames, tracker) as tracked:
            seen = _counted(tracked, info.frames, progress)
            learnt = learner.learn(seen, tracker, still=kind != "file", voice=voice, progress=learning)
    finally:
        tracker.close()
        source.close()
    if not learnt.frames:
        raise MediaError("cannot enrol", f"{input}: no face was found", "film the face from the front, in good light")
    return f"{output}: {learnt.summary}\n{_saved(learnt.identity, output, consent)}"


def _saved(identity: Identity, output: Path, consent: str | None) -> str:
    """What there is to say of the person's consent."""
    told = ""
    if consent is not None and isinstance(identity, CarriesConsent):
        record = give(consent, "dub", identity.subject)
        identity.consent, told = record.to_bytes(), f"consent recorded: {record.who}, {record.at:%Y-%m-%d %H:%M} UTC"
    identity.save(output)
    if not told and isinstance(identity, CarriesConsent):
        told = f"note: {warning(str(output), identity.consent, identity.subject)}"
    return told


def _counted(frames: Iterator[T], total: int | None, progress: Progress | None) -> Iterator[T]:
    for done, frame in enumerate(frames, 1):
        yield frame
        if progress is not None:  # it was looked at
            progress(done, total)
