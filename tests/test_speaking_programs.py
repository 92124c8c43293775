"""Which programs say a script: how they are named, what they give, and what is told where they cannot."""

# ruff: noqa: RUF001

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from realtime_dub.doctor.engine import script_voice
from realtime_dub.errors import ConfigError, DependencyError, UserError
from realtime_dub.sources.base import read_all
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.espeak import Speech
from realtime_dub.voice.pitch import pitch_hz
from realtime_dub.voice.registry import said_by, script_speaker
from realtime_dub.voice.tts import by_flite, onnx_file
from realtime_dub.voice.tts.live import LiveScript
from realtime_dub.voice.tts.phones import opening_of
from realtime_dub.voice.tts.piper_voice import PiperConfig, numbered, read_voice, sentences_of
from realtime_dub.voice.tts.programs import PROGRAMS, open_program, typed_spec

pytestmark = pytest.mark.computes
flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed: make system-test")

WORDS = "Place blue at F two now, my mother's banana."
PHOTO = SeenFilm(np.zeros(0), (), 0.0)
SYMBOLS = {each: [number] for number, each in enumerate("_^$ .,;:!?abdefhijklmnoprstuvwzæðŋɐɑɔəɛɜɡɪɹʃʊʌʒˈˌːθ")}
CONFIG = {"audio": {"sample_rate": 16_000}, "espeak": {"voice": "en-us"}, "phoneme_id_map": SYMBOLS}


@flite
@pytest.mark.parametrize("spec", ["espeak-ng:en-us", "flite"])
def test_programs_tell_when_each_phoneme_is_said(spec: str) -> None:
    program = open_program(spec, Wish())
    made = program.speak(WORDS, 1.0)
    ends = [each.end_s for each in made.phones]
    assert np.abs(made.samples).max() > 0.1
    assert ends == sorted(ends)
    assert ends[-1] == pytest.approx(made.seconds, abs=0.02)
    said = "".join(each.name for each in made.phones)
    assert said.startswith("pl")
    assert said.count("b") == 2
    shut = [each for each in made.phones if each.name and opening_of(each.name) == 0]
    assert len(shut) == 5  # p, b, m, m, b
    quick = program.speak(WORDS, 1.6)
    assert quick.seconds == pytest.approx(made.seconds / 1.6, rel=0.2)
    program.close()


@flite
def test_flite_speaks_as_high_as_a_sample() -> None:
    usual = open_program("flite", Wish()).speak(WORDS, 1.0)
    own = pitch_hz(usual.samples, usual.rate)
    assert own is not None
    at = np.arange(32_000) / 16_000
    sample = (0.3 * np.sign(np.sin(2 * np.pi * 0.7 * own * at))).astype(np.float32)
    low = open_program("flite", Wish(sample=sample, sample_rate=16_000)).speak(WORDS, 1.0)
    assert pitch_hz(low.samples, low.rate) == pytest.approx(0.7 * own, rel=0.15)


@flite
def test_flite_says_a_film_and_names_what_it_cannot_say() -> None:
    made = script_speaker("flite:rms")([Line("Hello there"), Line("नमस्ते"), Line("-t x")], PHOTO, Wish())
    assert any("नमस्ते" in note and "flite has no sound" in note for note in made.notes)
    assert np.abs(made.samples).max() > 0.1
    with pytest.raises(ConfigError, match="does not speak 'es'"):
        open_program("flite", Wish("es"))
    with pytest.raises(ConfigError, match=r"no voice 'nobody'.*slt"):
        open_program("flite:nobody", Wish())


@flite
def test_typed_lines_are_said_by_flite(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text("Hello there.\n")
    voice = LiveScript(str(path), "flite:slt")
    assert voice.open().rate == 16_000
    while not np.any(voice.read().samples):
        pass
    assert sum(np.abs(block.samples).max() > 0 for block in read_all(voice.read)) > 30
    voice.close()


def test_without_flite_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DependencyError, match="apt install flite"):
        open_program("flite", Wish())
    assert "flite" not in script_voice().detail


@flite
def test_the_doctor_tells_which_programs_are_there() -> None:
    told = script_voice()
    assert told.state == "ok"
    assert "espeak-ng" in told.detail
    assert "flite" in told.detail


def test_what_flite_prints_is_brought_to_its_sound() -> None:
    phones = by_flite._phones("pau:0.2 hh:0.3 ay:0.5 pau:1.0 \nnoise 3:x", 2.0)
    assert [(each.name, each.start_s, each.end_s) for each in phones] == [
        ("", 0, pytest.approx(0.4)),
        ("h", pytest.approx(0.4), pytest.approx(0.6)),
        ("aɪ", pytest.approx(0.6), pytest.approx(1.0)),
        ("", pytest.approx(1.0), pytest.approx(2.0)),
    ]
    assert by_flite._phones("", 1.0) == by_flite._phones("pau:0.5", 1.0) == ()


def test_names_of_programs() -> None:
    assert [typed_spec(each) for each in ("", "es", "flite", "piper:a.onnx")] == [
        "espeak-ng:",
        "espeak-ng:es",
        "flite",
        "piper:a.onnx",
    ]
    assert said_by("line.txt") == ("tts", "line.txt")
    assert said_by("hpm:line.txt") == ("hpm", "line.txt")
    assert said_by("flite:line.txt") == ("flite", "line.txt")
    assert said_by("piper:my/voice.onnx:line.txt") == ("piper:my/voice.onnx", "line.txt")
    assert said_by("odd:name.txt") == ("tts", "odd:name.txt")
    with pytest.raises(ConfigError, match=r"no such voice.*flite, piper"):
        script_speaker("nobody")
    with pytest.raises(ConfigError, match="no such voice"):
        open_program("nobody", Wish())


@pytest.mark.parametrize("name", PROGRAMS)
def test_no_program_has_an_emotion(name: str) -> None:
    with pytest.raises(ConfigError, match="--emotion"):
        open_program(name, Wish(emotion="happy"))


def test_a_text_is_read_as_a_voice_of_piper_takes_it(tmp_path: Path) -> None:
    config = PiperConfig.model_validate(CONFIG)
    first, second = sentences_of("Hello, Bob. It costs 3.5!", config)
    assert "".join(first) == "həlˈoʊ, bˈɑːb."
    assert "".join(second)[-1] == "!"
    assert "." not in second
    one = numbered(first, config)[0]
    assert one.numbers[:4] == (1, 0, SYMBOLS["h"][0], 0)
    assert one.numbers[-2:] == (0, 2)
    assert sum(one.counts) == len(one.numbers) == 2 * len(first) + 3
    long = numbered(sentences_of("hello " * 300, config)[0], config)
    assert len(long) > 2
    assert sentences_of(" … ", config) == sentences_of("", config) == []
    letters = PiperConfig.model_validate({**CONFIG, "phoneme_type": "text"})
    assert sentences_of("é a", letters) == [["e", "\u0301", " ", "a"]]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"audio": {"sample_rate": 1}}, "sample_rate"),
        ({"phoneme_id_map": {"a": [1]}}, "phoneme_id_map has no _"),
        ({"phoneme_type": "japanese"}, "phoneme_type"),
        ({"inference": {"length_scale": -1}}, "length_scale"),
        (None, "not JSON"),
    ],
)
def test_a_voice_that_cannot_be_used_is_one_line(tmp_path: Path, change: dict | None, told: str) -> None:
    path = tmp_path / "voice.onnx"
    path.write_bytes(b"x")
    beside = tmp_path / "voice.onnx.json"
    with pytest.raises(UserError, match="cannot read the voice"):
        read_voice(path)
    beside.write_text("[" if change is None else json.dumps({**CONFIG, **change}))
    with pytest.raises(UserError, match=told):
        read_voice(path)


def test_piper_wants_its_file() -> None:
    with pytest.raises(ConfigError, match=r"piper:VOICE\.onnx"):
        open_program("piper", Wish())


@pytest.mark.parametrize("data", [b"\x3a\x10\x0a", b"\xff" * 30, b"\x3a\x02\x0b\x00", b"\x3a"])
def test_what_is_no_network_has_no_names(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"a (part|number)"):
        onnx_file.outputs_of(data, "Ceil")


def test_a_program_says_nothing_for_nothing() -> None:
    made: Speech = open_program("", Wish()).speak("…", 1.0)
    assert not any(each.name for each in made.phones)
