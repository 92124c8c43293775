"""The painters' room: windows, references and boxes from the past alone, no box to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import painters
import pytest
from faces import portrait, tracked_portrait

from realtime_dub.audio.frontends.painter_mel import PainterMel
from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.alignment import TEMPLATE, canonicalise
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import CropSpec, CropTaskSpec
from realtime_dub.media import MS, NS, Image
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import MouthPatch
from realtime_dub.mouth.painter.box import FaceBox
from realtime_dub.mouth.painter.generator import PainterGenerator, margins_of, wav2lip
from realtime_dub.mouth.painter.layout import Sizes, layout_of
from realtime_dub.mouth.painter.references import References
from realtime_dub.mouth.painter.windows import VoiceWindows

PERIOD = 40 * MS
RATE = 16_000


def voice(seconds: float, level: float = 0.2) -> np.ndarray:
    rng = np.random.default_rng(3)
    return (level * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.write_bundle(tmp_path_factory.mktemp("painter") / "bundle", painters.reference_net())


@pytest.fixture
def generator(folder: Path) -> Iterator[PainterGenerator]:
    made = wav2lip(bundle=folder)
    yield made
    made.close()


def person(pts_ns: int = 0, image: Image | None = None, face: Face | None = None, shot: int = 0) -> TrackedFrame:
    found = tracked_portrait()
    frame = replace(found.frame, pts_ns=pts_ns, image=found.frame.image if image is None else image)
    return replace(found, frame=frame, face=face or found.face, shot=shot)


def opened(amount: float) -> Face:
    """The portrait's face with its lips ``amount`` mouth widths apart."""
    face = tracked_portrait().face
    assert face is not None
    points = face.points.copy()
    points[LIPS_INNER[11:], 1] += amount * face.pose.scale
    return canonicalise(points)


# What it hears.


def spec_of(folder: Path) -> CropTaskSpec:
    spec = load(folder).spec
    assert isinstance(spec, CropTaskSpec)
    return spec


@pytest.mark.parametrize("chunk", [160, 333, 4_000])
def test_windows_are_those_of_the_whole_sound(folder: Path, chunk: int) -> None:
    """Live and offline alike: hops centred on the instant, with the look-ahead that is declared and no more."""
    spec, sound = spec_of(folder), voice(2)
    front_end = PainterMel()
    mel = np.concatenate([front_end.process(sound), front_end.finish()])
    windows, origin = VoiceWindows(spec), 5 * NS
    asked = 0
    for start in range(0, len(sound), chunk):
        windows.hear(sound[start : start + chunk], origin + start * NS // RATE)
        while origin + asked * PERIOD <= windows.heard_until_ns():
            last = int(np.floor((asked * 40 + spec.look_ahead_ms) / 12.5 + 0.5))
            wanted = np.full((16, 80), -4, np.float32)
            kept = mel[max(0, last - 15) : last + 1]
            wanted[16 - len(kept) :] = kept
            assert np.allclose(windows.window(origin + asked * PERIOD), wanted, atol=1e-5)
            asked += 1
    assert asked >= 44  # of 50: the last ones wait for sound


def test_what_is_declared_is_what_has_to_be_heard(generator: PainterGenerator) -> None:
    latency, sound = generator.latency(), voice(1)
    needed = latency.look_ahead_ns + latency.front_end_ns
    for at in range(0, len(sound), 160):
        generator.hear(sound[at : at + 160], at * NS // RATE)
        heard = (at + 160) * NS // RATE
        assert generator.heard_until_ns() >= heard - needed
        assert generator.heard_until_ns() <= heard - latency.look_ahead_ns + 7 * MS


def test_speech_is_told_from_the_quiet_around_it(folder: Path) -> None:
    windows = VoiceWindows(spec_of(folder))
    hum = voice(3, 0.004)
    spoken = np.concatenate([hum, voice(0.5, 0.1), hum])
    windows.hear(spoken[: 3 * RATE + 8_000], 0)
    assert not windows.speaks(2 * NS)
    assert windows.speaks(3 * NS + 200 * MS)
    windows.hear(spoken[3 * RATE + 8_000 : 5 * RATE], 3 * NS + 500 * MS)
    assert not windows.speaks(4 * NS + 500 * MS)


# What it is shown.


def test_the_reference_is_shut_and_alike(folder: Path) -> None:
    references = References()
    for at, amount in enumerate((0.3, 0.25, 0.0, 0.28)):
        face = opened(amount)
        image = np.full((8, 8, 3), at, np.uint8)
        references.see(person(at * 300 * MS, face=face), face, image)
    assert references.choose(opened(0.3))[0, 0, 0] == 2
    assert references.choose(opened(0.0))[0, 0, 0] == 2
    face = opened(0.2)
    references.see(person(3 * NS, face=face, shot=1), face, np.full((8, 8, 3), 9, np.uint8))  # somebody else, maybe
    assert references.choose(face)[0, 0, 0] == 9


def test_the_box_follows_the_head_and_not_the_mouth() -> None:
    box = FaceBox(CropSpec(size=96))
    tracked = tracked_portrait()
    assert tracked.face is not None
    for at in range(25):
        still = box(person(at * PERIOD), tracked.face)
    dropped = tracked.face.points.copy()
    dropped[TEMPLATE[:, 1] > 0.9, 1] += 0.25 * tracked.face.pose.scale  # chin and jaw, for one frame
    wide = box(person(25 * PERIOD), canonicalise(dropped))
    assert np.abs(wide.corners() - still.corners()).max() < 0.08 * tracked.face.pose.scale
    moved = canonicalise(tracked.face.points + np.array([30, -12, 0], np.float32))
    there = box(person(26 * PERIOD), moved)
    assert there.corners().mean(0) - still.corners().mean(0) == pytest.approx([30, -12], abs=3)


def test_the_hidden_half_is_hidden_and_the_reference_is_not(tmp_path: Path) -> None:
    """A network that gives back the hidden face paints black below the middle, and nothing above it is touched."""
    image = [1, 3, 96, 96]
    changed = {
        "inputs": [{"name": "target", "shape": [1, 6, 96, 96]}, {"name": "source", "shape": [1, 1, 80, 16]}],
        "outputs": [{"name": "output", "shape": image}],
    }
    generator = wav2lip(bundle=painters.write_bundle(tmp_path / "b", painters.stacked_net(), **changed))
    shown = generator._network.paint
    from realtime_dub.mouth.painter.network import Shown

    face = np.full((96, 96, 3), (10, 120, 240), np.uint8)
    painted = shown([Shown(np.zeros((16, 80), np.float32), face, face)] * 2)
    for each in painted:
        assert each is not None
        assert np.array_equal(each[:48], face[:48])
        assert not each[48:].any()
    generator.close()


PORTS = {
    "rows first": ([("a", (1, 16, 80)), ("b", (1, 3, 96, 96)), ("c", (1, 3, 96, 96))], [("d", (1, 3, 96, 96))]),
    "channels last": ([("a", (1, 80, 16, 1)), ("b", ("batch", 96, 96, 6))], [("d", ("batch", 96, 96, 3))]),
    "no reference": ([("a", (1, 80, 16)), ("b", (1, 3, 96, 96))], [("d", (1, 3, 96, 96))]),
}


@pytest.mark.parametrize("what", PORTS)
def test_tensors_are_known_by_their_sizes(what: str) -> None:
    layout = layout_of("net", *PORTS[what], Sizes(16, 80, 96))
    assert layout.inputs[0].role == "voice"
    assert layout.sees_reference == (what != "no reference")
    values = np.arange(16 * 80, dtype=np.float32).reshape(1, 16, 80)
    filled = layout.inputs[0].filled(values)
    assert filled.shape[1:] == PORTS[what][0][0][1][1:]
    assert filled.reshape(-1)[1] == (1 if what == "rows first" else 80)


def test_the_reference_is_what_is_called_so() -> None:
    image = ("batch", 3, 96, 96)
    named = [("mel", ("batch", 16, 80)), ("identity", image), ("target", image)]
    layout = layout_of("net", named, [("out", image)], Sizes(16, 80, 96))
    assert {port.role: port.name for port in layout.inputs} == {
        "voice": "mel",
        "reference": "identity",
        "face": "target",
    }
    assert layout.open
    with pytest.raises(BundleError, match="no network that paints faces: net: it has mel batch×16×80, identity"):
        layout_of("net", named, [("out", image)], Sizes(16, 80, 128))


# What is seen.


def dubbed(generator: PainterGenerator, frames: list[TrackedFrame], sound: np.ndarray) -> list[MouthPatch | None]:
    generator.hear(sound, -NS)
    return [generator.generate(each, each.frame.pts_ns) for each in frames]


def test_a_network_that_gives_the_reference_leaves_no_box(generator: PainterGenerator) -> None:
    frames = [person(at * PERIOD) for at in range(10)]
    patch = dubbed(generator, frames, voice(3))[-1]
    assert patch is not None
    last = frames[-1]
    assert last.face is not None
    before = last.frame.image.astype(int)
    after = Compositor().compose(last, patch, 1.0).astype(int)
    changed = np.abs(after - before).max(-1)
    outline = lower_face(last.face.points, last.face.pose.scale)
    inside = polygon(outline, (0, 0, last.frame.width, last.frame.height)) > 0
    assert not changed[~inside].any()  # to the bit
    assert changed[inside].any()
    edge = inside & (cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0)
    assert changed[edge].mean() < 2  # levels
    tone = np.abs(cv2.GaussianBlur((after - before).astype(np.float32), (0, 0), 4)).max(-1)
    assert tone[inside].max() < 12  # details are lost on 96 pixels, light is not


@pytest.mark.parametrize("shift", [(25, 25, 25), (-20, 5, 18)])
def test_another_light_is_taken_over(shift: tuple[int, int, int], folder: Path) -> None:
    """What was seen before was in another light than the frame at hand."""
    generator = wav2lip(bundle=folder)
    generator.hear(voice(3), -NS)
    bright = np.clip(portrait().astype(int) + shift, 0, 255).astype(np.uint8)
    generator.observe(person(0))
    for at in range(1, 12):
        tracked = person(at * PERIOD, bright, opened(0.1))
        patch = generator.generate(tracked, at * PERIOD)
    assert patch is not None
    x, y, width, height = patch.box
    seen = patch.alpha > 200
    difference = patch.image[seen].astype(int) - bright[y : y + height, x : x + width][seen]
    assert np.abs(np.median(difference, axis=0)).max() < 5
    generator.close()


def test_silence_a_lost_face_and_a_turned_head_leave_the_live_mouth(folder: Path) -> None:
    generator = wav2lip(bundle=folder)
    generator.hear(np.concatenate([voice(2), np.zeros(3 * RATE, np.float32)]), 0)
    spoken = [generator.generate(person(at * PERIOD), at * PERIOD) for at in range(25)]
    assert all(each is not None and not each.resting for each in spoken[3:])
    gone = generator.generate(replace(person(NS), face=None), NS)
    assert gone is None
    silent = [generator.generate(person(at * PERIOD), at * PERIOD) for at in range(26, 90)]
    assert silent[-1] is None
    weights = [0 if each is None else int(each.alpha.max()) for each in silent]
    assert max(np.abs(np.diff(weights))) < 90  # it goes by degrees
    generator.silence = "rest"
    rests = generator.generate(person(90 * PERIOD), 90 * PERIOD)
    assert rests is not None
    assert rests.resting
    generator.close()


def test_a_photograph_is_painted_in_silence(generator: PainterGenerator) -> None:
    generator.hear(np.zeros(RATE, np.float32), 0)
    tracked = person(0)
    tracked = replace(tracked, frame=replace(tracked.frame, still=True))
    patch = generator.generate(tracked, 0)
    assert patch is not None
    assert patch.resting


def test_batches_are_what_single_frames_are(tmp_path: Path) -> None:
    bundle = painters.write_bundle(tmp_path / "b", painters.reference_net(gain=0.05))
    frames = [person(at * PERIOD) for at in range(8)]
    frames[3] = replace(frames[3], face=None)
    one, many = wav2lip(bundle=bundle), wav2lip(bundle=bundle)
    for each in (one, many):
        each.hear(voice(3), -NS)
    single = [one.generate(each, each.frame.pts_ns) for each in frames]
    together = many.generate_batch([(each, each.frame.pts_ns) for each in frames])
    for a, b in zip(single, together, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert np.abs(a.image.astype(int) - b.image).max() <= 1
            assert np.array_equal(a.alpha, b.alpha)


def test_pads_move_the_box(folder: Path) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    usual, padded = FaceBox(CropSpec(size=96)), FaceBox(CropSpec(size=96), margins_of("0,30,5,-5"))
    a, b = (each(tracked, tracked.face).corners() for each in (usual, padded))
    assert b[3, 1] > a[3, 1]
    assert b[0, 0] < a[0, 0]
    assert b[3, 0] < a[3, 0]
    for bad in ("1,2,3", "a,b,c,d", "0,0,0,500", "nan,0,0,0", ""):
        with pytest.raises(ConfigError, match="cannot use --pads"):
            wav2lip(bundle=folder, pads=bad)


def test_without_a_bundle_it_says_where_one_comes_from(folder: Path) -> None:
    with pytest.raises(BundleError, match="no network comes with engine wav2lip; give --bundle FOLDER; import-engine"):
        registry.create("wav2lip")
    other = painters.write_bundle(folder.parent / "other", painters.reference_net(), engine="lipgan")
    with pytest.raises(BundleError, match="it is for the engine lipgan; give --engine lipgan"):
        wav2lip(bundle=other)
    with pytest.raises(BundleError, match="its task is motion"):
        wav2lip(bundle=Path(registry.__file__).parents[2] / "engines" / "mouthbank" / "bundle")
    with pytest.raises(BundleError, match="it is for the engine lipgan; give --engine lipgan, or another bundle"):
        registry.create("mouthbank", bundle=other)
    assert "made by a test" in wav2lip(bundle=folder).terms
