"""A bundle of HPM as the voice of a film: ``--mic from-video:hpm:FILE``."""

from __future__ import annotations

import json
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from engines.hpm.data import PHONEMES
from engines.hpm.export import spec_of, write_bundle
from engines.hpm.network import Hpm
from engines.hpm.shapes import SMALL
from engines.hpm.sound import Sound
from realtime_dub.errors import ConfigError, EndOfStream, MediaError, UserError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.face.types import Face, Pose, TrackedFrame
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.inference.spec import SpeechSpec
from realtime_dub.media import NS, Floats, Frame
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.hpm.film import say, speak
from realtime_dub.voice.hpm.phonemes import named, phonemes_of
from realtime_dub.voice.hpm.speaking import MelMaker
from realtime_dub.voice.registry import open_voice_from_video, said_by

pytestmark = pytest.mark.computes
TINY = replace(
    SMALL, text_layers=1, lip_layers=1, decoder_layers=1, inner=16, prosody=16, postnet=16, phonemes=len(PHONEMES)
)


@pytest.fixture(scope="module", name="folder")
def write_parts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that shouts as lips go, a script and a speaker."""
    folder = tmp_path_factory.mktemp("hpm")
    torch.manual_seed(0)
    net = Hpm(TINY).eval()
    with torch.no_grad():
        net.mel_linear.bias.fill_(-1.0)
    write_bundle(net, folder / "mine", spec_of(net, PHONEMES, Sound(), "ours", ""))
    (folder / "line.txt").write_text("blue at f two now\n")
    noise = (3_000 * np.random.default_rng(0).standard_normal(22_050)).astype("<i2")
    with wave.open(str(folder / "me.wav"), "wb") as file:
        file.setparams((1, 2, 22_050, 0, "NONE", ""))
        file.writeframes(noise.tobytes())
    return folder


def order(folder: Path, name: str, **lines: object) -> str:
    written = {"bundle": "mine", "script": "line.txt"} | lines
    path = folder / f"{name}.toml"
    path.write_text("".join(f"{key} = {json.dumps(each)}\n" for key, each in written.items() if each is not None))
    return f"from-video:hpm:{path}"


def shown(spec: str, fps: int, frames: int, moves: float) -> Floats:
    """All that a voice says of a face whose lower lip goes up and down."""
    voice = open_voice_from_video(spec)
    info = voice.open()
    pose = Pose(np.eye(3, dtype=np.float32), 60.0, np.zeros(3, np.float32))
    for seq in range(frames):
        points = TEMPLATE.copy()
        points[[14, 87, 317], 1] += moves * np.sin(2 * np.pi * 3 * seq / fps) ** 2
        frame = Frame(np.zeros((2, 2, 3), np.uint8), 7 * NS + seq * NS // fps, seq)
        voice.watch(TrackedFrame(frame, Face(points, points, pose)))
    voice.end()
    blocks, at_ns = [], 7 * NS
    while True:
        try:
            block = voice.read()
        except EndOfStream:
            break
        assert abs(block.pts_ns - at_ns) <= NS // info.rate
        blocks.append(block.samples[:, 0])
        at_ns = block.end_ns
    voice.close()
    return np.concatenate(blocks)


def test_each_mel_frame_is_at_its_place_in_the_film(folder: Path) -> None:
    spec = order(folder, "short", start_s=0.4, seconds=0.8, speaker="me.wav")
    still, moving = (shown(spec, 25, 50, moves) for moves in (0.0, 0.3))
    assert len(moving) == 32_000
    for sound in (still, moving):
        assert np.abs(sound[:6_400]).max() == 0
        assert np.abs(sound[6_400 + 12_800 :]).max() == 0
        assert (np.abs(sound[6_400 : 6_400 + 12_800]).reshape(-1, 640).max(1) > 1e-4).all()
    assert np.abs(moving - still).max() > 1e-3  # the lips matter
    assert len(shown(spec, 30, 60, 0.3)) == 32_000  # another rate is read in between
    assert np.abs(shown(spec, 25, 20, 0.3)[6_400:]).max() > 1e-4  # a film that ends early is spoken as far as it goes


@pytest.mark.slow
def test_a_film_is_spoken_and_its_mouth_moved(folder: Path) -> None:
    spec, out = order(folder, "film", seconds=2.0, speaker="me.wav"), folder / "out.mp4"
    command = [sys.executable, "-m", "realtime_dub", "file", "demo", "-o", str(out), "--mic", spec, "--seconds", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    with av.open(str(out)) as film:
        heard = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
        assert len(heard) / film.streams.audio[0].rate == pytest.approx(2.0, abs=0.1)
    assert np.abs(heard).max() > 1e-3


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ({"bundle": "none"}, "none"),
        ({"script": None, "text": " \n"}, "nothing to say in text"),
        ({"script": "gone.txt"}, "cannot read .*gone.txt"),
        ({"text": "too"}, "give one of script, text and phonemes"),
        ({"script": None, "phonemes": "b XX"}, "cannot speak phoneme 'XX'"),
        ({"colour": "red"}, "colour in"),
        ({"seconds": 31}, "cannot speak 31 s at once; give seconds = 30 or less"),
        ({"speaker": "line.txt"}, "cannot read .*line.txt"),
        ({"vocoder": "mine"}, "not a vocoder"),
        ({"language": "xx-none"}, "espeak-ng does not speak 'xx-none'"),
    ],
)
def test_what_cannot_be_spoken_is_one_line(folder: Path, lines: dict[str, object], told: str) -> None:
    voice = open_voice_from_video(order(folder, "wrong", **lines))
    with pytest.raises(UserError, match=told):
        voice.open()


def test_without_a_file_it_says_how(folder: Path) -> None:
    with pytest.raises(ConfigError, match="no bundle to speak with: from-video:hpm; write a file with bundle"):
        open_voice_from_video("from-video:hpm").open()


def test_a_rate_that_is_not_whole_is_one_line(folder: Path, tmp_path: Path) -> None:
    for part in (folder / "mine").iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    path = next(tmp_path.glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"frame_rate": 30.0}))
    with pytest.raises(UserError, match=r"3\.333 mel frames for a frame at 30 fps"):
        open_voice_from_video(order(folder, "rate", bundle=str(tmp_path))).open()


def test_a_text_is_read_in_the_sounds_that_are_known() -> None:
    assert named("b_l_ˈuː n_ˈaʊ tʃ", PHONEMES) == ["b", "l", "u", "n", "a", "ʊ", "tʃ"]  # noqa: RUF001
    read = phonemes_of("blue two", PHONEMES)
    assert read == ["sil", "b", "l", "u", "t", "u", "sil"]
    with pytest.raises(ConfigError, match="ARPAbet"):
        phonemes_of("blue", ["AA", "sil"])


def seen_film(seconds: float, moves: float = 0.3, unseen: tuple[float, float] = (0, 0)) -> SeenFilm:
    """A face whose lower lip goes up and down, 25 frames a second."""
    times, pose = np.arange(round(25 * seconds)) / 25, Pose(np.eye(3, dtype=np.float32), 60.0, np.zeros(3, np.float32))
    faces: list[Face | None] = []
    for at in times:
        points = TEMPLATE.copy()
        points[[14, 87, 317], 1] += moves * np.sin(2 * np.pi * 3 * at) ** 2
        faces.append(None if unseen[0] <= at < unseen[1] else Face(points, points, pose))
    return SeenFilm(times, faces, seconds)


def test_lines_are_said_in_their_times(folder: Path) -> None:
    maker = MelMaker(load(folder / "mine"))
    lines = [Line("blue at f", 0.4, 1.2), Line("two", 1.1, 1.2), Line("now", 1.6, 9.0)]
    made = say(lines, seen_film(2.0), Wish(), maker, None)
    loud = np.abs(made.samples).reshape(-1, 640).max(1) > 1e-4
    assert made.rate == 16_000
    assert len(made.samples) == 32_000
    assert np.flatnonzero(loud).tolist() == [*range(10, 30), *range(40, 50)]
    assert len(made.notes) == 1
    assert made.notes[0].startswith("line 2 ('two') is not said")
    still = say(lines, seen_film(2.0, moves=0.0), Wish(), maker, None)
    assert np.abs(made.samples - still.samples).max() > 1e-3  # the lips matter
    told = say([Line("blue " * 40)], seen_film(2.0), Wish(), maker, None).notes
    assert "too long for its 2.0 s" in told[0]


def test_what_a_film_cannot_be_given_is_told(folder: Path) -> None:
    maker = MelMaker(load(folder / "mine"))
    with pytest.raises(ConfigError, match=r"cannot speak 40\.0 s at once; give --subtitles"):
        say([Line("blue")], seen_film(40.0), Wish(), maker, None)
    with pytest.raises(MediaError, match=r"no face from 0\.5 to 1\.0 s"):
        say([Line("blue", 0.5, 1.0)], seen_film(2.0, unseen=(0.4, 1.1)), Wish(), maker, None)
    with pytest.raises(ConfigError, match=r"no emotion 'happy' in the voice hpm.*leave it out"):
        speak([Line("blue")], seen_film(1.0), Wish(emotion="happy"))
    with pytest.raises(ConfigError, match="a photograph has none that move"):
        speak([Line("blue")], SeenFilm(np.zeros(0), (), 0.0), Wish())


def test_a_voice_that_knows_one_speaker_says_so(folder: Path) -> None:
    maker = MelMaker(load(folder / "mine"))
    noise = np.random.default_rng(0).standard_normal(16_000).astype(np.float32)
    wish = Wish(sample=noise, sample_rate=16_000)
    maker.spec = maker.spec.model_copy(update={"speakers": 1, "speaker": (1.0,) * 256})
    own, asked = (say([Line("blue")], seen_film(1.0), each, maker, None) for each in (Wish(), wish))
    assert np.array_equal(own.samples, asked.samples)
    assert "--speaker changes nothing" in asked.notes[0]
    maker.spec = maker.spec.model_copy(update={"speakers": 2})
    other = say([Line("blue")], seen_film(1.0), wish, maker, None)
    assert not other.notes
    assert np.abs(other.samples - own.samples).max() > 1e-3


def test_a_script_says_by_whom_it_is_said() -> None:
    assert said_by("line.txt") == ("tts", "line.txt")
    assert said_by("hpm:line.txt") == ("hpm", "line.txt")
    assert said_by("C:line.txt") == ("tts", "C:line.txt")


def test_the_bundle_that_ships_speaks() -> None:
    bundle = load_default("hpm")
    spec = bundle.spec
    assert isinstance(spec, SpeechSpec)
    assert spec.speakers == 1
    assert "GRID" in spec.training_data[0].name
    assert spec.licence == "CC BY 4.0"
    folder = bundle.folder.parent
    assert sum(path.stat().st_size for path in folder.glob("bundle*/*")) <= 20e6
    film = seen_film(3.0)
    made, other = (
        speak([Line(text)], film, Wish()) for text in ("bin blue at f two now", "place red in z nine please")
    )
    assert len(made.samples) == 48_000
    assert not made.notes
    rms = [float(np.sqrt((each.samples**2).mean())) for each in (made, other)]
    assert all(0.005 < each < 0.5 for each in rms)
    assert np.abs(made.samples - other.samples).max() > 0.01
