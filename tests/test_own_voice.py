"""A film's own voice is heard beside its frames, as far as they have come, and given to who learns from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from talkers import write_talker

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import ConfigError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import NS, Samples
from realtime_dub.mouth.contract import HEARD_AHEAD_NS, VOICE_RATE, OwnVoiceLearnt, Progress
from realtime_dub.mouth.passthrough import PassthroughGenerator
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.enrolment import show_film
from realtime_dub.pipeline.file.own_voice import film_voice
from realtime_dub.sources.registry import open_video

pytestmark = pytest.mark.computes


class Pupil(PassthroughGenerator):
    """Keeps what it is told of the person's own voice."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Samples] = []
        self.shown: list[int] = []
        self.heard_at: list[int] = []
        self.finished = 0

    def hear_own(self, samples: Samples, pts_ns: int) -> None:
        assert pts_ns == pytest.approx(sum(map(len, self.heard)) * NS / VOICE_RATE, abs=NS / VOICE_RATE)
        self.heard.append(np.array(samples))

    learns_own, own_voice = True, OwnVoiceLearnt()

    def begin_own(self, tunes: bool, progress: Progress | None = None) -> None:
        assert not self.heard
        assert not tunes  # three seconds

    def learn_own(self, tracked: TrackedFrame, live: bool = False) -> None:
        assert not live
        self.shown.append(tracked.frame.pts_ns)
        self.heard_at.append(sum(map(len, self.heard)))

    def finish_own(self) -> None:
        self.finished += 1


@pytest.fixture(name="film")
def write_film(tmp_path: Path) -> Path:
    """Three seconds, a tone that rises."""
    path = tmp_path / "film.mkv"
    time = np.arange(3 * VOICE_RATE) / VOICE_RATE
    write_talker(path, voice=(0.2 * np.sin(2 * np.pi * (200 + 100 * time) * time)).astype(np.float32))
    return path


def shown(film: Path, learns: bool) -> Pupil:
    pupil, clock = Pupil(), VirtualClock()
    tracker = assembly.make_tracker("largest", at_once=True)
    with film_voice(str(film)) as voice:
        assert voice is not None
        show_film(lambda: open_video(str(film), clock=clock, live=False), pupil, tracker, voice if learns else None)
    tracker.close()
    return pupil


def test_who_learns_hears_the_film_before_its_frames_are_shown(film: Path) -> None:
    pupil = shown(film, learns=True)
    assert pupil.finished == 1
    assert len(pupil.shown) >= 30
    assert pupil.shown == sorted(pupil.shown)
    for pts_ns, samples in zip(pupil.shown, pupil.heard_at, strict=True):
        assert samples >= (pts_ns + HEARD_AHEAD_NS) * VOICE_RATE // NS - 200  # a resampler is a little behind
    sound = np.concatenate(pupil.heard)
    assert 0.1 < np.abs(sound[VOICE_RATE : 2 * VOICE_RATE]).max() < 0.4
    assert not np.abs(sound[round(3.2 * VOICE_RATE) :]).max(initial=0) > 0.01


def test_nothing_is_heard_where_nothing_is_to_be_learnt(film: Path) -> None:
    pupil = shown(film, learns=False)
    assert not pupil.heard
    assert not pupil.finished


def test_a_film_without_sound_has_no_voice(tmp_path: Path) -> None:
    path = tmp_path / "mute.mkv"
    write_talker(path, sound=False)
    with film_voice(str(path)) as voice:
        assert voice is None


def test_learn_is_on_or_off() -> None:
    from realtime_dub.cli.files import on_or_off
    from realtime_dub.config import FileConfig, build

    assert on_or_off("--learn", "on")
    assert not on_or_off("--learn", "off")
    with pytest.raises(ConfigError, match="cannot use --learn 'maybe'; give on or off"):
        on_or_off("--learn", "maybe")
    with pytest.raises(ConfigError, match="learn"):
        build(FileConfig, input="a.mp4", output=Path("b.mp4"), learn="maybe")
