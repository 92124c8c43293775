"""Scripts and subtitles, espeak-ng's speech of them, and its fit to lips."""

from __future__ import annotations

import io
import os
import sys
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from media_files import sound_of

from realtime_dub import cli
from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import ConfigError, DependencyError, MediaError
from realtime_dub.media import MS
from realtime_dub.pipeline import assembly
from realtime_dub.sources.base import read_all
from realtime_dub.sources.paced_voice import PacedVoice
from realtime_dub.trust.marks.found import found
from realtime_dub.voice import espeak as library
from realtime_dub.voice.contract import Line, SeenFilm, Wish
from realtime_dub.voice.espeak import Espeak, Manner, espeak
from realtime_dub.voice.pitch import pitch_hz
from realtime_dub.voice.tts.film import speak
from realtime_dub.voice.tts.fit import LONGEST, SHORTEST, STEP_S, fitted, spoken
from realtime_dub.voice.tts.live import LiveScript
from realtime_dub.voice.tts.phones import PAUSE, opening_of
from realtime_dub.voice.tts.pitch import manner_like
from realtime_dub.voice.tts.programs import open_program
from realtime_dub.voice.tts.script import language_of, lines_of, read_script, read_subtitles, sentences
from realtime_dub.voice.tts.speaking import MOST_SPEED, Sayer, make_voice
from realtime_dub.voice.tts.stretch import stretched

pytestmark = pytest.mark.computes

WORDS = "Place blue at F two now, my mother's banana."
PHOTO = SeenFilm(np.zeros(0), (), 0.0)
UNSEEN = np.full(500, np.nan)  # ten seconds of no lips


def test_subtitles_of_both_kinds_are_read(tmp_path: Path) -> None:
    cues = (
        "1\r\n0:00:01,500 --> 0:00:03,000\r\n<i>Hello</i>\r\nthere\r\n\r\n2\r\n00:01:00,000 --> 1:00:00,000\r\n你好\r\n"
    )
    (tmp_path / "a.srt").write_bytes(b"\xef\xbb\xbf" + cues.encode())
    (tmp_path / "b.vtt").write_text(
        "WEBVTT\n\nNOTE no\n\nx\n00:04.000 --> 00:05.5 align:start\n<v Bob>Late\n\n00:01.000 --> 00:02.000\nEarly\n"
    )
    assert read_subtitles(tmp_path / "a.srt") == [Line("Hello there", 1.5, 3.0), Line("你好", 60.0, 3600.0)]
    assert read_script(tmp_path / "b.vtt") == [Line("Early", 1.0, 2.0), Line("Late", 4.0, 5.5)]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b"no times at all", "no subtitles in"),
        (b"1\n00:00:03,000 --> 00:00:01,000\nback\n", "cannot use the times"),
        (b"\xff\x00\x81" * 50, "UTF-8"),
        (b"1\n00:00:00,000 --> 00:00:01,000\n\n", "no subtitles in"),
        (b"00:00:00,000 --> 00:00:01,000\n" + b"x" * 10_001, "letters in one"),
        (b"<" * 3_000_000, "no subtitles in"),
        (b"0" * 4_000_001, "larger than"),
    ],
)
def test_hostile_subtitles_are_one_line(
    tmp_path: Path, data: bytes, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(data)
    assert cli.run(["voice", "demo", "--subtitles", str(path), "-o", str(tmp_path / "a.wav")]) == 2
    told = capsys.readouterr().err
    assert why in told
    assert told.count("\n") == 1


def test_a_line_is_in_the_language_of_its_letters() -> None:
    said = {"नमस्ते": "hi", "שלום": "he", "مرحبا": "ar", "Привет": "ru", "hello": "en-us", "😀 42": "en-us", "": "en-us"}
    assert {text: language_of(text) for text in said} == said
    assert language_of("hola", "es") == "es"


def test_sentences_keep_every_word() -> None:
    text = 'One. "Two!" three?  Vier… पाँच। six 3.5 seven'
    parts = list(sentences(text))
    assert len(parts) > 3
    assert "".join("".join(parts).split()) == "".join(text.split())


@pytest.mark.parametrize("text", ["", "  \n ", "\n\n"])
def test_an_empty_script_is_told(text: str) -> None:
    with pytest.raises(ConfigError, match="nothing to say"):
        lines_of(text, "--script")


@pytest.mark.parametrize("text", ["Good morning", "Buenos días", "नमस्ते दुनिया", "שלום עולם", "مرحبا", "grin 😀"])
def test_scripts_of_many_letters_are_said(text: str) -> None:
    made = speak([Line(text)], PHOTO, Wish())
    assert not made.notes
    assert np.abs(made.samples).max() > 0.1


def test_what_has_no_sound_is_named_and_the_rest_is_said() -> None:
    made = speak([Line("Hello"), Line("…")], PHOTO, Wish())
    assert any("'…'" in note and "no sound" in note for note in made.notes)
    with pytest.raises(ConfigError, match="nothing to say"):
        speak([Line("…")], PHOTO, Wish())


def test_a_language_or_a_wish_that_it_has_not_is_told() -> None:
    with pytest.raises(ConfigError, match="does not speak 'xx'"):
        speak([Line("Hello")], PHOTO, Wish("xx"))
    with pytest.raises(ConfigError, match="--emotion"):
        speak([Line("Hello")], PHOTO, Wish(emotion="happy"))


def test_without_espeak_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "NAMES", ("no-such-library.so",))
    monkeypatch.setattr(library.ctypes.util, "find_library", lambda _: None)
    with pytest.raises(DependencyError, match="install espeak-ng"):
        Espeak()


def test_a_fit_finds_the_lips_that_said_it() -> None:
    """Lips that say the phonemes a fifth slower, from 0.5 s on: the voice is laid there, within two steps."""
    speech = espeak().speak(WORDS, Manner("en-us"))
    at = np.arange(300) * STEP_S
    lips = np.full(300, PAUSE)
    for phone in speech.phones:
        lips[(at >= 0.5 + 1.2 * phone.start_s) & (at < 0.5 + 1.2 * phone.end_s)] = opening_of(phone.name)
    fit = fitted(speech.phones, lips)
    assert fit is not None
    off = fit.places[1:] - (0.5 + 1.2 * fit.times[1:])
    assert np.abs(off).mean() < 2 * STEP_S
    sound = spoken(speech, fit)
    assert len(sound) / speech.rate == pytest.approx(fit.places[-1], abs=0.01)
    assert np.abs(sound[: round(0.4 * speech.rate)]).max() < 0.02


def test_no_phoneme_is_stretched_past_the_limits() -> None:
    speech = espeak().speak(WORDS, Manner("en-us"))
    lips = np.random.default_rng(1).uniform(0, 1, 250)
    fit = fitted(speech.phones, lips)
    assert fit is not None
    for phone in speech.phones[:-2]:
        if phone.name:
            start, end = np.interp((phone.start_s, phone.end_s), fit.times, fit.places)
            own = phone.end_s - phone.start_s
            assert own * SHORTEST - STEP_S - 1e-6 <= end - start <= own * LONGEST + STEP_S + 1e-6
    assert fitted(speech.phones, lips[:20]) is None


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.6])
def test_a_stretch_keeps_the_pitch(factor: float) -> None:
    at = np.arange(16_000) / 16_000
    sound = (0.3 * np.sign(np.sin(2 * np.pi * 150 * at))).astype(np.float32)
    out = stretched(sound, 16_000, np.array([0.0, 1.0]), np.array([0.0, factor]))
    assert len(out) == round(16_000 * factor)
    assert pitch_hz(out, 16_000) == pytest.approx(150, rel=0.02)


def test_a_sample_gives_its_pitch() -> None:
    for wanted in (95.0, 220.0):
        at = np.arange(32_000) / 16_000
        sample = (0.3 * np.sign(np.sin(2 * np.pi * wanted * at))).astype(np.float32)
        pitch, variant = manner_like(sample, 16_000)
        made = espeak().speak(WORDS, Manner("en-us", pitch=pitch, variant=variant))
        assert pitch_hz(made.samples, made.rate) == pytest.approx(wanted, rel=0.15)
    with pytest.raises(MediaError, match="nobody speaks"):
        manner_like(np.zeros(32_000, np.float32), 16_000)


def test_a_line_is_said_within_its_times_and_one_that_is_too_long_is_told() -> None:
    sayer = Sayer(open_program("espeak-ng:en", Wish()))
    made = make_voice([Line("Good morning.", 1.0, 3.0), Line("And good night.", 5.0, 7.0)], UNSEEN, sayer)
    loud = np.abs(made.samples) > 0.02
    at = np.flatnonzero(loud) / made.rate
    assert not made.notes
    assert ((at > 0.9) & (at < 3.1) | (at > 4.9) & (at < 7.1)).all()
    long = "this line has far too many words for the little time that it was given by somebody"
    made = make_voice(
        [Line(long, 0.0, 1.0), Line("after", 1.0, 2.0)], UNSEEN, Sayer(open_program("espeak-ng:en", Wish()))
    )
    quickest = Sayer(open_program("espeak-ng:en", Wish())).say(long, MOST_SPEED).seconds
    assert any("line 1" in note and f"{MOST_SPEED:g} times" in note for note in made.notes)
    assert len(made.samples) / made.rate > quickest  # the whole of it, and the line after
    assert np.abs(made.samples[round(quickest * made.rate) :]).max() > 0.05


def test_a_film_in_which_no_lips_are_seen_is_told_from_a_photograph() -> None:
    lines, film = [Line("Good morning.")], SeenFilm(np.arange(50) / 25, (None,) * 50, 2.0)
    assert speak(lines, film, Wish()).notes == ("no lips were seen: nothing is timed by them",)
    assert not speak(lines, PHOTO, Wish()).notes


def test_typed_lines_are_spoken_at_once_and_the_end_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with io.TextIOWrapper(os.fdopen(reader, "rb")) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        voice = LiveScript("-", "en")
        info = voice.open()
        assert info.ends_run
        assert not np.any(voice.read().samples)  # nothing was typed: silence, and no wait
        os.write(writer, b"Good mor")
        assert not np.any(voice.read().samples)
        os.write(writer, b"ning. And more.\n")
        blocks = _until_loud(voice)
        assert np.abs(blocks[-1].samples).max() > 0.01
        os.close(writer)
        rest = list(read_all(voice.read))
        voice.close()
    assert all(abs(block.duration_ns - 10 * MS) < MS / 10 for block in blocks + rest)
    pts = [block.pts_ns for block in blocks + rest]
    assert np.ptp(np.diff(pts)) <= 1
    wanted = sum(
        Sayer(open_program("espeak-ng:en", Wish())).say(text).seconds for text in ("Good morning.", "And more.")
    )
    heard = sum(np.abs(block.samples).max() > 0 for block in blocks + rest) / 100
    assert heard > 0.8 * wanted


def _until_loud(voice: LiveScript) -> list:
    """A line is made within a moment; each read here stands for 10 ms of the clock."""
    blocks, waited = [], threading.Event()
    while not blocks or np.abs(blocks[-1].samples).max() <= 0.01:
        blocks.append(voice.read())
        waited.wait(0.01)
        assert len(blocks) < 500
    return blocks


def test_a_closed_script_tells_what_was_not_heard(tmp_path: Path) -> None:
    path = tmp_path / "line.txt"
    path.write_text("A first line that is long enough to be missed.\nA second one.\n")
    voice = LiveScript(str(path), "")
    voice.open()
    while not np.any(voice.read().samples):
        threading.Event().wait(0.005)
    voice.close()
    voice.close()
    assert "were not heard" in voice.notes[0]
    assert len(list(read_all(voice.read))) < 1_000


def test_what_a_mic_of_text_means(tmp_path: Path) -> None:
    clock = VirtualClock()
    live = assembly.open_voice("tts:es", clock=clock, video_path=None, live=True)
    assert isinstance(live, PacedVoice)
    for spec, is_live in (("tts:", False), ("script:a.txt", True)):
        with pytest.raises(ConfigError, match=r"script:line\.txt"):
            assembly.open_voice(spec, clock=clock, video_path=None, live=is_live)
    with pytest.raises(ConfigError, match="--script"):
        assembly.voice_options(build(LiveConfig, mic="demo", script="a.txt"))
    with pytest.raises(ConfigError, match="--speaker"):
        assembly.voice_options(build(FileConfig, input="a.mp4", output=tmp_path / "a.mp4", speaker=tmp_path / "a.wav"))
    with pytest.raises(ConfigError, match="--speaker-id"):
        assembly.voice_options(build(LiveConfig, mic="demo", speaker_id=1))
    assert assembly.voice_options(build(LiveConfig, mic="tts:", speaker_id=1)) == {"script": None, "speaker_id": 1}
    assert assembly.speaks_for_another(build(LiveConfig, webcam="0", mic="tts:"))


@pytest.mark.slow
def test_a_film_speaks_subtitles_of_three_languages(tmp_path: Path) -> None:
    """The program's own film, silent, with lines in English, Spanish and Hindi: a WAV, then the film that says it."""
    film, subtitles, out = tmp_path / "talk.mp4", tmp_path / "talk.srt", tmp_path / "out.mp4"
    assert cli.run(["file", "demo", "-o", str(film), "--mic", "demo", "--seconds", "4.4", "-q"]) == 0
    lines = ("Good morning", "Buenos días", "नमस्ते दुनिया")
    subtitles.write_text("".join(f"00:00:0{k}.000 --> 00:00:0{k + 1}.300\n{text}\n\n" for k, text in enumerate(lines)))
    wav = tmp_path / "voice.wav"
    assert cli.run(["voice", str(film), "--subtitles", str(subtitles), "-o", str(wav), "-q"]) == 0
    unmarked = tmp_path / "unmarked.wav"
    assert (
        cli.run(["voice", str(film), "--subtitles", str(subtitles), "-o", str(unmarked), "-q", "--marks", "off"]) == 0
    )
    assert found(wav).marked
    assert not found(unmarked).marked
    with wave.open(str(wav)) as file:
        rate, sound = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2")
    for k in range(3):
        assert np.abs(sound[k * rate : (k + 1) * rate]).max() > 1_000
    script = tmp_path / "line.txt"
    script.write_text("Good morning everybody.")
    made = ["file", str(film), "--mic", f"script:{script}", "--speaker", str(wav), "-o", str(out), "-q"]
    assert cli.run(made) == 0
    samples, _, _ = sound_of(out)
    assert np.abs(samples).max() > 0.05
