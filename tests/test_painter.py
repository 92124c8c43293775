"""What painters hear and are shown: windows, references and boxes, from the past alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import painters
import pytest
from faces import tracked_portrait
from painters import RATE, opened, person, voice

from realtime_dub.audio.frontends.painter_mel import PainterMel
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import TEMPLATE, canonicalise
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import CropSpec, CropTaskSpec
from realtime_dub.media import MS, NS
from realtime_dub.mouth.painter.box import FaceBox
from realtime_dub.mouth.painter.generator import PainterGenerator, wav2lip
from realtime_dub.mouth.painter.layout import Sizes, layout_of
from realtime_dub.mouth.painter.references import References
from realtime_dub.mouth.painter.windows import Loudness, VoiceWindows

pytestmark = pytest.mark.computes

PERIOD = 40 * MS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.write_bundle(tmp_path_factory.mktemp("painter") / "bundle", painters.reference_net())


@pytest.fixture
def generator(folder: Path) -> Iterator[PainterGenerator]:
    made = wav2lip(bundle=folder)
    yield made
    made.close()


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


def test_noise_behind_a_codecs_first_silence_is_no_voice_nor_is_a_click() -> None:
    hiss = voice(4, 0.008)  # -42 dB
    hiss[3 * RATE : 3 * RATE + 160] *= 40
    for silent, from_ns in ((160, 0), (RATE // 2, 2 * NS + 200 * MS)):  # a pause of a file is forgotten a little later
        loudness, heard = Loudness(), np.concatenate([hiss, voice(0.5, 0.1)])
        heard[:silent] = 0
        loudness.hear(heard)
        assert not any(loudness.speaks(at * 40 * MS) for at in range(from_ns // (40 * MS), 95))
    assert all(loudness.speaks(4 * NS + at * 40 * MS) for at in range(12))


def test_who_speaks_softly_behind_quiet_is_heard_and_who_speaks_from_the_start() -> None:
    for before in (np.zeros(RATE // 5, np.float32), np.zeros(0, np.float32)):
        loudness = Loudness()
        loudness.hear(np.concatenate([before, voice(1, 0.006 if len(before) else 0.05)]))
        begins_ns = len(before) * NS // RATE
        assert all(loudness.speaks(begins_ns + at * 40 * MS) for at in range(24))


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
