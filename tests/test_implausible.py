"""What can be no mouth is not shown as one, and one bad sample spoils no more than itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from live_helpers import RATE, START_NS, PuppetGenerator, Run, live, within
from media_files import output_format

from benchmarks import networks as files
from benchmarks.networks import mouth_net, node, only_when_loud, write_bundle
from realtime_dub.audio.mono import MonoMixer
from realtime_dub.errors import BundleError, EndOfStream
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.bundle import load_default
from realtime_dub.media import MS, NS, AudioBlock, samples_to_ns
from realtime_dub.mouth.contract import ImplausibleMouth, MouthPatch
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.motion import MotionStream
from realtime_dub.mouth.mouthbank.plausible import Plausible
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.live.voice_line import VoiceLine
from realtime_dub.publishers.registry import open_publisher
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes

BAD = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf, "1e20": 1e20, "3e38": 3e38}


def noise(level: float, seconds: float) -> np.ndarray:
    return (level * np.random.default_rng(1).standard_normal(int(seconds * 16_000))).astype(np.float32)


def kinds(run: Run, low_ns: int, high_ns: int) -> set[str]:
    return {kind for at_ns, kind, _, _ in run.kinds if low_ns <= at_ns < high_ns}


# The net.


def net_that_breaks(how: str) -> bytes:
    """Fine but where it is loud: then its mouths are no numbers, or its state is, and stays so."""
    nodes, more = only_when_loud()
    if how == "its mouths":
        shown = [*files.DISPLACEMENT[:2], node("Add", ["rest", "loud"], ["displacement"])]
        return mouth_net(displacement=[*nodes, *shown], more=more)
    spoilt = [node("ReduceSum", ["past"], ["kept"], files.number("keepdims", 0))]
    shown = [*files.DISPLACEMENT[:2], node("Add", ["rest", "kept"], ["displacement"])]
    return mouth_net(
        displacement=[*nodes, *spoilt, *shown], state=[node("Add", ["past", "loud"], ["next_past"])], more=more
    )


@pytest.mark.parametrize("how", ["its mouths", "its state"])
def test_a_net_that_breaks_for_a_moment_goes_on_from_rest(how: str, tmp_path: Path) -> None:
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, net_that_breaks(how)))
    sound = np.concatenate([noise(0.1, 0.5), noise(20.0, 0.1), noise(0.1, 1.0)])
    for at in range(0, len(sound), 160):
        generator.hear(sound[at : at + 160], samples_to_ns(at, 16_000))
    tracked = tracked_portrait()
    for at_ms, fine in ((300, True), (500, False), (1_000, True), (1_300, True)):
        if fine:
            generator.generate(tracked, at_ms * MS)
        else:
            with pytest.raises(ImplausibleMouth):
                generator.generate(tracked, at_ms * MS)


def moved(way: str) -> np.ndarray:
    """One output of a net (1, points, 3), in mouth widths."""
    rng, shape = np.random.default_rng(0), (1, len(LOWER), 3)
    return {
        "rest": np.zeros(shape),
        "a wide open mouth": 0.5 * np.clip(TEMPLATE[LOWER, 1:2] - TEMPLATE[13, 1], 0, 1) * np.array([[[0, 1, 0]]]),
        "no numbers": np.full(shape, np.nan),
        "one that is none": np.where(np.arange(len(LOWER))[:, None] == 9, np.inf, np.zeros(shape)),
        "ten widths": np.full(shape, 10.0),
        "a point far away": np.where(np.arange(len(LOWER))[:, None] == 9, 2.0, np.zeros(shape)),
        "all of it down to the chin": np.zeros(shape) + np.array([0, 0.6, 0]),
        "every point its own way": rng.uniform(-0.35, 0.35, shape),
    }[way].astype(np.float32)


@pytest.mark.parametrize(
    ("way", "can_be"),
    [
        ("rest", True),
        ("a wide open mouth", True),
        ("no numbers", False),
        ("one that is none", False),
        ("ten widths", False),
        ("a point far away", False),
        ("all of it down to the chin", False),
        ("every point its own way", False),
    ],
)
def test_what_can_be_a_mouth(way: str, can_be: bool) -> None:
    plausible = Plausible(LOWER)
    assert plausible(moved(way), np.array([0.5])).tolist() == [can_be]
    assert plausible(moved(way), np.array([np.nan])).tolist() == [False]
    assert plausible(moved(way), np.array([1.5])).tolist() == [False]


def test_speech_at_any_level_makes_mouths_that_can_be() -> None:
    sound = np.concatenate([0.1 * noise(1.0, 1.0), noise(20.0, 1.0), np.zeros(8_000, np.float32)])
    stream = MotionStream(load_default("mouthbank"))
    stream.hear(sound, 0)
    assert all(stream.at(at_ms * MS).plausible for at_ms in range(0, 2_300, 10))


@pytest.mark.parametrize("bad", BAD)
def test_a_sample_that_is_none_spoils_no_mouth_after_it(bad: str) -> None:
    sound, clean = noise(0.1, 2.0), MotionStream(load_default("mouthbank"))
    clean.hear(sound, 0)
    sound[16_000] = BAD[bad]
    spoilt = MotionStream(load_default("mouthbank"))
    for at in range(0, len(sound), 320):
        spoilt.hear(sound[at : at + 320], samples_to_ns(at, 16_000))
    found = [spoilt.at(at_ms * MS) for at_ms in range(0, 1_800, 10)]
    assert all(each.plausible and np.isfinite(each.displacement).all() for each in found)
    after = clean.at(1_750 * MS)
    assert np.abs(found[175].displacement - after.displacement).max() < 0.05
    assert abs(found[175].speech - after.speech) < 0.2


# The live loop.


class BreaksDown(PuppetGenerator):
    """No mouth can be made from ``low_ns`` to ``high_ns`` after the start."""

    def __init__(self, error: Exception, low_ns: int, high_ns: int) -> None:
        super().__init__()
        self._error, self._span = error, ((low_ns, high_ns),)

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        if within(self._span, at_ns):
            raise self._error
        return super().generate(tracked, at_ns)


def test_live_what_can_be_no_mouth_is_held_then_passed_and_not_fresh() -> None:
    run = live(6, generator=BreaksDown(ImplausibleMouth(), 2 * NS, 3 * NS))
    frames = run.report.frames
    assert frames["implausible"] == 25
    assert frames["total"] - frames["fresh"] == 25
    assert (frames["reused"], frames["passthrough"]) == (3, 22)
    assert "slow" not in frames
    assert kinds(run, 3.3 * NS, 6 * NS) == {"fresh"}
    assert any("gave no plausible mouth for 25 of" in note for note in run.report.notes)


def test_live_an_engine_that_cannot_go_on_leaves_the_picture_and_the_sound() -> None:
    run = live(6, generator=BreaksDown(BundleError("cannot run bundle", "x: it crashed"), 2 * NS, 3 * NS))
    assert run.report.frames["total"] > 130
    assert "slow" not in run.report.frames
    assert kinds(run, 2.5 * NS, 6 * NS) == {"passthrough"}
    [note] = [each for each in run.report.notes if "crashed" in each]
    assert note.endswith("no more mouths are made, the picture passes through unchanged")
    sounds = [each.stamped.tick.audio.samples for each in run.output.taken[-25:]]
    assert all(each.any() for each in sounds)


def test_live_an_engine_that_cannot_even_begin_leaves_the_picture() -> None:
    run = live(3, generator=BreaksDown(BundleError("cannot run bundle", "x"), -NS, 9 * NS))
    assert run.report.frames["total"] > 50
    assert kinds(run, 0, 3 * NS) == {"passthrough"}


@pytest.mark.parametrize("bad", BAD)
def test_live_a_sample_that_is_none_reaches_nobody_and_a_recording_goes_on(bad: str, tmp_path: Path) -> None:
    blocks = [(START_NS + (k + 1) * 10 * MS, block_of(k, BAD[bad] if k == 200 else None)) for k in range(400)]
    run = live(4, voice=blocks)
    heard = np.concatenate(run.generator.heard)
    assert np.abs(run.output.sound).max() <= 1
    assert np.abs(heard).max() <= 1
    assert run.report.frames["fresh"] == run.report.frames["total"] > 80
    path = tmp_path / "a.mp4"
    publisher = open_publisher(str(path))
    publisher.open(output_format(live=True, fps=Fraction(25), width=8, height=8))
    for each in run.output.taken:
        publisher.publish(each.stamped.tick)
    publisher.close()
    with av.open(str(path)) as film:
        assert sum(1 for _ in film.decode(video=0)) == len(run.output.taken)


def block_of(k: int, bad: float | None) -> AudioBlock:
    samples = 0.5 * np.sin(np.arange(k * 480, (k + 1) * 480) / 20).astype(np.float32)[:, None]
    if bad is not None:
        samples[7] = bad
    return AudioBlock(samples, RATE, START_NS + k * 10 * MS)


# Files, and what else remembers.


class Blocks:
    """A voice of 10 ms blocks, one of which has a bad sample."""

    def __init__(self, bad: float) -> None:
        self._bad, self._k = bad, 0

    def read(self) -> AudioBlock:
        if self._k == 100:
            raise EndOfStream
        self._k += 1
        return block_of(self._k - 1, self._bad if self._k == 50 else None)


@pytest.mark.parametrize("bad", BAD)
def test_in_a_file_a_sample_that_is_none_is_silence(bad: str) -> None:
    read = PulledVoice(Blocks(BAD[bad]), RATE, 1).read(START_NS, RATE)
    assert np.abs(read).max() <= 1
    assert np.count_nonzero(read) > 0.99 * RATE


def test_a_crack_makes_no_pause_of_the_voice_after_it() -> None:
    """The loudest that was heard says what is a pause; a single sample far beyond full scale is no such measure."""
    line = VoiceLine(RATE, 1, NS, 20 * MS)
    line.begin()
    for k in range(300):
        block = block_of(k, 60.0 if k == 20 else None)
        line.put(block, block.pts_ns + 10 * MS)
        assert not line._pauses.update(block) or k < 20


def test_a_crack_in_one_channel_silences_the_other_for_no_more_than_a_moment() -> None:
    mixer, mixed = MonoMixer(RATE), []
    for k in range(200):
        samples = np.zeros((480, 2), np.float32)
        samples[:, 0] = block_of(k, None).samples[:, 0]
        samples[7, 1] = 60.0 if k == 20 else 0
        mixed.append(mixer(samples))
    level = np.sqrt((mixed[120] ** 2).mean())
    assert level > 0.3  # the voice, wholly
