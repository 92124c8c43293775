"""Voices of piper's: a network in their format is run where it can do no harm, and tells its times."""

# ruff: noqa: RUF001

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.inference.sandbox.session import SandboxSession
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.registry import script_speaker
from realtime_dub.voice.tts.onnx_file import outputs_of
from realtime_dub.voice.tts.programs import open_program

pytestmark = pytest.mark.computes
RATE, HOP = 16_000, 256
LETTERS = "_^$ .,;:!?abdefhijklmnoprstuvwzæðŋɐɑɔəɛɜɡɪɹʃʊʌʒˈˌːθ"
# Each symbol lasts four frames and as many more as its number says, modulo three; the tone says who speaks.
GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
voice (int64[1,n] input, int64[1] input_lengths, float[3] scales, int64[1] sid) => (float[1,1,1,m] output)
<float four = {4.0}, float three = {3.0}, float hop = {256.0}, float step = {0.02}, float zero = {0.0},
 float one = {1.0}, int64[1] second = {1}, int64[4] shape = {1, 1, 1, -1}>
{
  numbers = Cast<to = 1>(input)
  rest = Mod<fmod = 1>(numbers, three)
  usual = Add(rest, four)
  scale = Gather(scales, second)
  lengths = Mul(usual, scale)
  whole = Ceil(lengths)
  total = ReduceSum<keepdims = 0>(whole)
  samples = Mul(total, hop)
  at = Range(zero, samples, one)
  who = Cast<to = 1>(sid)
  higher = Add(who, one)
  pace = Mul(higher, step)
  turns = Mul(at, pace)
  tone = Sin(turns)
  output = Reshape(tone, shape)
}
"""


def voice(folder: Path, speakers: int = 2, graph: str = GRAPH) -> Path:
    path = folder / "voice.onnx"
    onnx.save(onnx.parser.parse_model(graph), str(path))
    about = {
        "audio": {"sample_rate": RATE},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.6, "length_scale": 1.0, "noise_w": 0.8},
        "phoneme_id_map": {each: [number] for number, each in enumerate(LETTERS)},
        "num_speakers": speakers,
        "hop_length": HOP,
    }
    (folder / "voice.onnx.json").write_text(json.dumps(about))
    return path


def test_a_voice_says_when_each_phoneme_is_said(tmp_path: Path) -> None:
    program = open_program(f"piper:{voice(tmp_path)}", Wish("en"))
    made = program.speak("Bob, me.", 1.0)
    assert [each.name for each in made.phones] == ["", "b", "ɑ", "b", "", "m", "i", "", ""]
    frames = [round((each.end_s - each.start_s) * RATE / HOP) for each in made.phones]

    def length(symbols: str) -> int:  # and the number for nothing behind each, which lasts four
        return sum(4 + LETTERS.index(each) % 3 + 4 for each in symbols)

    # A stress lasts with the phoneme behind it, a mark of length and a space with what stands before them.
    parts = ["^", "b", "ˈɑː", "b", ", ", "m", "ˌiː", "."]
    assert "".join(parts[1:-1]).replace("ˌ", "ˈ").replace("ˈ", "") == "bɑːb, miː"
    assert frames[:2] == [length("^"), length("b")]
    assert frames[2] == length("ˈɑː")
    assert frames[-1] == 4 + LETTERS.index("$") % 3
    assert sum(frames) * HOP == len(made.samples)
    assert made.phones[-1].end_s == pytest.approx(made.seconds)
    slow = program.speak("Bob, me.", 0.5)
    assert slow.seconds == pytest.approx(2 * made.seconds, rel=0.01)
    program.close()


def test_its_speakers_are_numbered(tmp_path: Path) -> None:
    path = voice(tmp_path)
    heard = []
    for number in (None, 1):
        program = open_program(f"piper:{path}", Wish(speaker_id=number))
        spectrum = np.abs(np.fft.rfft(program.speak("Bob.", 1.0).samples))
        heard.append(int(spectrum.argmax()))
        program.close()
    assert heard[1] == pytest.approx(2 * heard[0], abs=2)
    with pytest.raises(ConfigError, match="choose one of 0 to 1"):
        open_program(f"piper:{path}", Wish(speaker_id=2))


@pytest.mark.parametrize(
    ("wish", "told"),
    [(Wish("es"), "it speaks en-us"), (Wish(sample=np.zeros(9, np.float32), sample_rate=9), "--speaker")],
)
def test_what_it_cannot_do_is_told(tmp_path: Path, wish: Wish, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        open_program(f"piper:{voice(tmp_path)}", wish)


def test_a_network_of_another_kind_is_told(tmp_path: Path) -> None:
    path = voice(tmp_path, speakers=1)  # it has a speaker's number all the same
    with pytest.raises(BundleError, match="does not take input, input_lengths, scales"):
        open_program(f"piper:{path}", Wish())
    path.write_bytes(b"not a network")
    with pytest.raises(BundleError, match="cannot be run"):
        open_program(f"piper:{path}", Wish())


def test_it_says_a_script(tmp_path: Path) -> None:
    made = script_speaker(f"piper:{voice(tmp_path)}")(
        [Line("Hello there."), Line("…")], SeenFilm(np.zeros(0), (), 0.0), Wish()
    )
    assert np.abs(made.samples).max() > 0.5
    assert any("piper has no sound" in note for note in made.notes)


def test_a_lengths_tensor_is_found_in_the_file(tmp_path: Path) -> None:
    model = voice(tmp_path).read_bytes()
    assert outputs_of(model, "Ceil") == ["whole"]
    session = SandboxSession(model)
    assert [each.name for each in session.outputs] == ["output"]
    session.close()
