"""What the mouth does while the voice is silent: it rests, or is the live one, by what was asked and who is heard."""

from __future__ import annotations

import asyncio
import wave
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.lip_leak import Leak, aspect_ratio, leak
from benchmarks.rendered import Look
from realtime_dub.blend.composite import Compositor
from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import ConfigError
from realtime_dub.face.alignment import LOWER, TEMPLATE, mouth_width
from realtime_dub.face.landmarks import CORNERS, mean_lip_opening
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, Frame, Image
from realtime_dub.mouth.contract import RestsInSilence
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.render import Renderer
from realtime_dub.mouth.mouthbank.rest import FADE_NS, HOLD_NS, Need, Resting, SlowCorners, resting_displacement
from realtime_dub.mouth.mouthbank.voice_owner import EVERY_NS, VoiceOwner
from realtime_dub.mouth.silence import for_voice
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.sources.demo_voice import DemoVoiceSource
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.studio.metrics import Metrics
from tests.faces import frame_of, jaw_drop, opening_of, read, tracked_portrait
from tests.talkers import write_talker

pytestmark = pytest.mark.computes

STEP_NS = 40 * MS
AMOUNTS = (0.0, 0.1, 0.2, 0.25)


@cache
def talking() -> tuple[TrackedFrame, ...]:
    """The portrait with its mouth open by each of ``AMOUNTS``, tracked."""
    tracked, bank = tracked_portrait(), Bank()
    bank.observe(tracked)
    return tuple(read(_opened(tracked, bank, amount)) for amount in AMOUNTS)


def _opened(tracked: TrackedFrame, bank: Bank, amount: float) -> Image:
    if not amount:
        return tracked.frame.image
    patch = Renderer(bank).render(tracked, jaw_drop(amount), 1.0, 0)
    assert patch is not None
    return Compositor().compose(tracked, patch, 1.0)


def at(tracked: TrackedFrame, k: int) -> TrackedFrame:
    """The same face in the frame of tick ``k``."""
    return TrackedFrame(Frame(tracked.frame.image, k * STEP_NS, k), tracked.face)


def acquainted(silence: str) -> MouthbankGenerator:
    """With the talking face, its lips seen shut and open."""
    generator = MouthbankGenerator(silence=silence)
    for k in range(40):
        generator.observe(at(talking()[k % len(AMOUNTS)], k))
    return generator


def drawn(generator: MouthbankGenerator, tracked: TrackedFrame, k: int) -> Image:
    patch = generator.generate(at(tracked, k), k * STEP_NS)
    return tracked.frame.image if patch is None else Compositor().compose(at(tracked, k), patch, 1.0)


def test_under_a_silent_voice_a_talking_mouth_is_shut_with_rest_and_talks_with_live() -> None:
    openings = {}
    for silence in ("live", "rest"):
        generator = acquainted(silence)
        generator.hear(np.zeros(32_000, np.float32), 0)
        images = [drawn(generator, talking()[1 + k % 3], k) for k in range(6)]
        openings[silence] = [opening_of(image) for image in images[-3:]]
    assert min(openings["live"]) > 0.08
    assert max(openings["rest"]) < 0.04


def test_a_live_mouth_that_is_shut_is_handed_back() -> None:
    generator = acquainted("rest")
    generator.hear(np.zeros(32_000, np.float32), 0)
    assert generator.generate(at(talking()[0], 0), 0) is None
    opened = generator.generate(at(talking()[3], 1), STEP_NS)
    assert opened is not None
    assert opened.resting
    back = [generator.generate(at(talking()[0], k), k * STEP_NS) for k in range(2, 30)]
    assert back[0] is not None  # a mouth that talks is shut now and then
    assert back[-1] is None


def test_while_it_rests_one_mouth_of_the_bank_is_kept() -> None:
    generator = acquainted("rest")
    generator.hear(np.zeros(32_000, np.float32), 0)
    used = []
    for k in range(24):
        assert generator.generate(at(talking()[1 + k // 2 % 3], k), k * STEP_NS) is not None
        used.append(generator.people.current.renderer._current)
    assert used[0] is not None
    assert all(mouth is used[0] for mouth in used)
    assert used[0].max_lip_opening < 0.05


def test_before_the_closed_lips_are_known_the_live_mouth_is_shown() -> None:
    generator = MouthbankGenerator(silence="rest")
    generator.hear(np.zeros(32_000, np.float32), 0)
    assert all(generator.generate(at(talking()[3], k), k * STEP_NS) is None for k in range(4))


def test_a_stranger_who_takes_the_place_of_one_at_rest_is_shown_live() -> None:
    resting, known = Resting("rest"), acquainted("rest").identity
    opened = talking()[3]
    assert max(resting(at(opened, k), known, 0.0, 0.0, k * STEP_NS) for k in range(20)) == 1
    assert resting(at(opened, 20), Bank(), 0.0, 0.0, 20 * STEP_NS) == 0  # of whom there is no shut mouth to draw


def test_the_mouth_goes_over_into_speech_and_out_of_it_without_a_jump() -> None:
    """A voice between two silences, under a live mouth that stands open."""
    source = DemoVoiceSource()
    source.open()
    voice = np.concatenate([source.read().samples[:, 0] for _ in range(200)])[48_000:120_000:3]
    source.close()
    generator = acquainted("rest")
    generator.hear(np.concatenate([np.zeros(8_000), voice, np.zeros(16_000)]).astype(np.float32), 0)
    weights, resting = [], []
    for k in range(55):
        patch = generator.generate(at(talking()[3], k), k * STEP_NS)
        weights.append(patch is not None)
        resting.append(patch is not None and patch.resting)
    assert all(weights)  # never the live, open mouth
    assert resting[5]
    assert resting[-1]
    assert not all(resting)


def test_of_a_photograph_nothing_is_asked() -> None:
    laughing = talking()[3]
    still = TrackedFrame(Frame(laughing.frame.image, 0, 0, still=True), laughing.face)
    for silence in ("live", "rest", "auto"):
        assert MouthbankGenerator(silence=silence).generate(still, 0) is not None


# How much is drawn.


def needs(openings: list[float]) -> list[float]:
    need = Need()
    return [need(opening, k * STEP_NS) for k, opening in enumerate(openings)]


def test_what_opens_is_shut_at_once_and_what_is_shut_costs_nothing() -> None:
    assert needs([0.0, 0.01, 0.02]) == [0, 0, 0]
    assert needs([0.0, 0.2])[1] == 1
    rising = needs(list(np.linspace(0, 0.1, 50)))
    assert max(np.diff(rising)) < 0.1


def test_what_is_drawn_stays_between_two_syllables_and_fades_when_the_talk_is_over() -> None:
    hold, fade = HOLD_NS // STEP_NS, FADE_NS // STEP_NS
    shares = needs([0.2] + [0.0] * (hold + fade + 3))
    assert shares[hold] == 1
    assert 0 < shares[hold + 3] < 1
    assert shares[-1] <= 0
    assert max(np.abs(np.diff(shares))) < 0.2


def test_corners_follow_a_smile_and_not_the_speech() -> None:
    slow, face, smile = SlowCorners(), TEMPLATE, TEMPLATE.copy()
    smile[list(CORNERS), 1] -= 0.1
    held = [slow(smile if k % 4 == 0 else face, k * STEP_NS) for k in range(100)]
    assert np.ptp([each[0, 1] for each in held[-8:]]) < 0.02
    held = [slow(smile, k * STEP_NS) for k in range(100, 175)]
    np.testing.assert_allclose(held[-1], smile[list(CORNERS)], atol=0.005)


def test_the_resting_mouth_is_shut_with_its_corners_where_they_are_held() -> None:
    corners = TEMPLATE[list(CORNERS)] + np.array([[-0.05, -0.06, 0], [0.05, -0.04, 0]], np.float32)
    moved = resting_displacement(TEMPLATE, corners, TEMPLATE) * mouth_width(TEMPLATE)
    shape = TEMPLATE.copy()
    shape[LOWER] += moved
    np.testing.assert_allclose(shape[list(CORNERS)], corners, atol=0.005)
    assert abs(float(mean_lip_opening(shape) - mean_lip_opening(TEMPLATE))) < 0.02
    assert (resting_displacement(TEMPLATE, None, TEMPLATE) == 0).all()


# Whose voice it is.


def syllables(count: int, seed: int) -> np.ndarray:
    """An opening (count,) that moves as in speech, mouth widths."""
    rng = np.random.default_rng(seed)
    steps = np.convolve(rng.standard_normal(count + 8), np.hanning(7) / 3, "valid")[:count]
    return np.clip(0.12 + 0.08 * steps, 0, 0.4)


def judged(owner: VoiceOwner, opened: np.ndarray, spoken: np.ndarray, first: int = 0, speech: float = 1.0) -> bool:
    for k, (live, heard) in enumerate(zip(opened, spoken, strict=True)):
        owner.see((first + k) * STEP_NS, float(live), float(heard), speech)
    return owner.own


@pytest.mark.parametrize("late", [-4, 0, 4])
def test_a_voice_that_the_mouth_speaks_is_the_persons_own(late: int) -> None:
    spoken = syllables(500, 1)
    noise = 0.04 * np.random.default_rng(2).standard_normal(500)
    assert judged(VoiceOwner(), np.roll(spoken, late) + noise, spoken)


def test_the_voice_of_whoever_the_net_hardly_knows_is_their_own() -> None:
    """Who talks freely: two thirds of how the mouth moves is nothing that the net knows of."""
    for late in (-4, 0, 4):
        spoken, other = syllables(1500, 1), syllables(1500, 2)
        opened = np.roll(spoken, late) + 1.3 * other
        assert 0.5 < np.corrcoef(np.roll(spoken, late), opened)[0, 1] < 0.65
        owner = VoiceOwner()
        assert all(judged(owner, opened[k : k + 50], spoken[k : k + 50], first=k) for k in range(0, 1500, 50))


def test_another_voice_is_found_out_and_ones_own_again() -> None:
    owner = VoiceOwner()
    spoken = syllables(1500, 1)
    assert not judged(owner, syllables(500, 2), spoken[:500])
    assert judged(owner, spoken[500:], spoken[500:], first=500)


def test_a_mind_that_is_made_up_later_is_the_same_and_needs_nobody_to_ask() -> None:
    owners = VoiceOwner(), VoiceOwner(), VoiceOwner()
    owners[1].later = owners[2].later = True
    minds = []
    for k, (live, heard) in enumerate(zip(syllables(700, 4), syllables(700, 1), strict=True)):
        for owner in owners:
            owner.see(k * STEP_NS, float(live), float(heard), 1.0)
        if k % 3 == 0:
            owners[1].catch_up()
        minds.append([owner.own for owner in owners])
    at = [sum(mind) for mind in zip(*minds, strict=True)]  # frames until another's voice is found out
    assert at[0] <= at[1] <= at[0] + 3
    assert at[0] < at[2] <= at[0] + EVERY_NS // STEP_NS + 1


def test_a_mouth_that_stays_shut_under_a_voice_does_not_speak_it() -> None:
    assert not judged(VoiceOwner(), np.full(400, 0.02), syllables(400, 1))


def test_a_few_seconds_and_silence_change_no_mind() -> None:
    assert judged(VoiceOwner(), syllables(125, 2), syllables(125, 1))
    assert judged(VoiceOwner(), syllables(1000, 2), np.zeros(1000), speech=0.0)
    assert judged(VoiceOwner(), np.full(1000, np.nan), syllables(1000, 1))


def test_auto_shows_the_live_mouth_until_the_voice_is_anothers() -> None:
    resting, bank = Resting("auto"), acquainted("live").identity
    assert resting.shows == "live"
    shares = []
    for k, spoken in enumerate(syllables(600, 1)):
        shares.append(resting(at(talking()[(k // 7) % 4], k), bank, float(spoken), 1.0, k * STEP_NS))
    assert resting.shows == "rest"
    assert shares[0] == 0
    assert max(shares) == 1
    resting.silence = "live"
    assert resting.shows == "live"


# What is asked for.


@pytest.mark.parametrize(
    ("webcam", "mic", "another"),
    [("0", "default", False), ("/dev/video2", "USB (hw:1,0)", False), ("rtsp://camera", "default", False),
     ("0", "-", True), ("0", "demo", True), ("0", __file__, True), ("0", "from-video:hum", True),
     ("demo", "default", True), (__file__, "default", True), (__file__, "video", False)],
)  # fmt: skip
def test_only_a_cameras_microphone_and_a_films_own_audio_can_be_the_faces(webcam: str, mic: str, another: bool) -> None:
    assert assembly.speaks_for_another(build(LiveConfig, webcam=webcam, mic=mic)) is another


@pytest.mark.parametrize(("mic", "another"), [("video", False), ("demo", True), ("talk.wav", True)])
def test_the_voice_of_a_file(mic: str, another: bool) -> None:
    assert assembly.speaks_for_another(build(FileConfig, input="a.mp4", output="b.mp4", mic=mic)) is another


@pytest.mark.parametrize(
    ("chosen", "another"),
    [({}, False), ({"voice": "none"}, False), ({"voice": "server"}, False), ({"voice": "room:r"}, True),
     ({"voice": "upload:a"}, True), ({"picture": "upload:a"}, True)],
)  # fmt: skip
def test_the_voice_of_a_session(chosen: dict[str, str], another: bool) -> None:
    assert SessionOptions(**chosen).speaks_for_another is another


def test_known_voices_decide_auto_alone() -> None:
    assert [for_voice(silence, True) for silence in ("auto", "live", "rest")] == ["rest", "live", "rest"]
    assert [for_voice(silence, False) for silence in ("auto", "live", "rest")] == ["auto", "live", "rest"]


def test_engines_are_told_where_they_have_the_choice() -> None:
    values = {"input": "demo", "output": "b.mp4", "mic": "demo"}
    generator = assembly.make_generator(build(FileConfig, **values))
    assert isinstance(generator, RestsInSilence)
    assert generator.silence_shows == "rest"
    assembly.make_generator(build(FileConfig, **values, engine="passthrough"))
    with pytest.raises(ConfigError, match="engine passthrough takes no --silence"):
        assembly.make_generator(build(FileConfig, **values, engine="passthrough", silence="rest"))
    with pytest.raises(ConfigError, match="silence = 'loud'"):
        build(FileConfig, **values, silence="loud")
    with pytest.raises(ConfigError, match="cannot use silence 'loud'"):
        MouthbankGenerator(silence="loud")


# What is told.


def silent(path: Path) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000))
    return path


def test_the_statistics_of_a_file_tell_it(tmp_path: Path) -> None:
    film, voice = tmp_path / "talk.mp4", silent(tmp_path / "silence.wav")
    write_talker(film, seconds=1.2)
    report = run_file(build(FileConfig, input=str(film), mic=str(voice), output=tmp_path / "out.mkv", quiet=True))
    assert report.as_dict()["silence"] == "rest"
    assert report.frames["rested"] > 0
    assert any("is silent all through" in note for note in report.notes)


def test_the_table_says_it_in_words() -> None:
    recorder, generator = Recorder(), MouthbankGenerator(silence="rest")
    recorder.runs(0, generator)
    assert "silence shows the mouth at rest" in str(recorder.report().table().caption)
    generator.silence = "live"
    assert "silence shows the live mouth" in str(recorder.report().table().caption)


def test_the_metrics_count_sessions_by_what_silence_shows() -> None:
    sessions = []
    for silence in ("rest", "rest", "auto"):
        recorder = Recorder()
        recorder.runs(0, MouthbankGenerator(silence=silence))
        sessions.append(SimpleNamespace(present_run=SimpleNamespace(recorder=recorder)))

    async def text() -> str:
        metrics = Metrics()
        metrics.update(sessions)
        return metrics.text().decode()

    told = asyncio.run(text())
    assert 'realtime_dub_silence{shows="rest"} 2.0' in told
    assert 'realtime_dub_silence{shows="live"} 1.0' in told


def test_the_benchmark_counts_open_mouths_of_faces_that_talk() -> None:
    shapes = []
    for amount in (0.0, 0.0, 0.4, 0.4):
        shape = TEMPLATE.copy()
        shape[LOWER] += jaw_drop(amount)
        shapes.append(shape)
    curve = np.stack([*shapes, np.full_like(TEMPLATE, np.nan)])
    assert aspect_ratio(curve)[2] > 0.3 > 0.1 > aspect_ratio(curve)[0]
    image = frame_of(np.zeros((8, 8, 3), np.uint8)).image
    found = leak(Look([image] * 5, list(range(5)), [], curve), np.array([False, True, True, True, True]))
    assert (found.leak, found.frames) == (pytest.approx(2 / 3), 3)
    assert isinstance(found, Leak)
