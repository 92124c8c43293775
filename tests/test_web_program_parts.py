"""What programs send, read and paced: samples, events and WebVTT, cut anywhere; speech at its pace, gaps as silence."""

from __future__ import annotations

import base64
import io
import json
import struct
import wave

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from realtime_dub.media import MS, NS
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.pacing import BLOCK_NS, HEADROOM_NS, MOST_HEADROOM_NS, MOST_MARKS, Pacer
from realtime_dub.web.studio.pcm import PcmFormat, PcmReader, WavReader
from realtime_dub.web.studio.presence import Presence
from realtime_dub.web.studio.realtime import Cleared, Spoken, Transcript, Written, append_event, read_event
from realtime_dub.web.studio.webvtt import Cue, VttReader, written

pytestmark = pytest.mark.computes
RNG = np.random.default_rng(20)


def wav(values: np.ndarray, rate: int = 22_050) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(values.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(values.astype("<i2").tobytes())
    return out.getvalue()


def header(code: int, bits: int) -> bytes:
    """Of mono at 48 kHz, of a length that nobody knew."""
    format = struct.pack("<HHIIHH", code, 1, 48_000, 6_000 * bits, bits // 8, bits)
    return b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + format + b"data\0\0\0\0"


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    for size in sizes:
        found.append(data[at : at + size])
        at += size
    return [*found, data[at:]]


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 37), max_size=40), channels=st.integers(1, 2), whole=st.booleans())
def test_samples_are_the_same_however_they_are_cut(sizes: list[int], channels: int, whole: bool) -> None:
    values = RNG.integers(-32_768, 32_767, (200, channels), dtype=np.int16)
    data = wav(values) if whole else values.astype("<i2").tobytes()
    reader = WavReader() if whole else PcmReader(PcmFormat(22_050, channels))
    got = np.concatenate([found for piece in pieces(data, sizes) if len(found := reader.feed(piece))])
    assert np.array_equal(got, values.astype(np.float32) / 32_768)
    assert reader.format == PcmFormat(22_050, channels)


def test_a_wav_stream_whose_length_nobody_knew_goes_to_its_end_and_another_not_beyond_its_own() -> None:
    values = np.full((50, 1), 1000, np.int16)
    streamed = bytearray(wav(values))
    streamed[4:8] = streamed[40:44] = b"\xff\xff\xff\xff"
    assert len(WavReader().feed(bytes(streamed) + b"\0\0" * 7)) == 57
    assert len(WavReader().feed(wav(values) + b"LIST\0\0\0\0")) == 50
    got = WavReader().feed(header(3, 32) + np.array([0.5, np.nan, 9], "<f4").tobytes())
    assert got[:, 0].tolist() == [0.5, 0, 1]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"ID3\x03" + b"\0" * 20, "no WAV file"),
        (wav(np.zeros((4, 3), np.int16)), "3 channels"),
        (wav(np.zeros((4, 1), np.int16), 4_000), "4000 Hz"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "before their format"),
        (b"RIFF\0\0\0\0WAVELIST\xff\xff\xff\x7f", "too long"),
        (header(1, 24), "24 bits"),
    ],
)  # fmt: skip
def test_what_is_no_such_wav_is_refused_in_a_line(data: bytes, says: str) -> None:
    with pytest.raises(Refusal, match=says):
        WavReader().feed(data)


def tone(seconds: float, rate: int) -> np.ndarray:
    at = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * 200 * at)).astype(np.float32)[:, None]


def taken(pacer: Pacer, blocks: int) -> np.ndarray:
    """What is heard in so many blocks; before anything is said, nothing."""
    found = [each.samples for _ in range(blocks) if (each := pacer.take()) is not None]
    return np.concatenate(found)[:, 0] if found else np.zeros(0, np.float32)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 24_000, 48_000])
def test_what_is_ahead_waits_and_is_heard_whole_and_at_its_pace(rate: int) -> None:
    pacer = Pacer(rate, 10 * NS)
    assert pacer.take() is None
    pacer.put(tone(2, rate))  # two seconds at once
    heard = taken(pacer, 100)
    assert abs(len(heard) - 96_000) < 48_000 * 0.02
    assert pacer.queued_ns == 0
    wanted = tone(2, 48_000)[:, 0]
    assert np.abs(heard[480:90_000] - wanted[480:90_000]).max() < 0.01  # at once, whole, and not a sample off
    assert not np.abs(taken(pacer, 50)[500:]).any()  # then silence, and it goes on


def test_stamps_follow_each_other_without_a_hole_whatever_pauses_there_are() -> None:
    pacer, expected = Pacer(22_050, 10 * NS), 0
    for number in range(300):
        if number in (0, 90, 210):
            pacer.put(tone(0.5, 22_050))
        given = pacer.take()
        if given is not None:
            assert abs(given.at_ns - expected) <= 1
            expected += len(given.samples) * NS // 48_000
            expected = given.at_ns + round(len(given.samples) * NS / 48_000)
    assert abs(expected - 300 * BLOCK_NS) < 3 * BLOCK_NS


def test_speech_that_comes_unevenly_waits_a_little_longer_and_then_has_no_holes() -> None:
    """Pieces of 100 ms, each up to 90 ms late."""
    pacer, pieces_at = Pacer(24_000, 10 * NS), [100 * number + (0, 90, 20, 70)[number % 4] for number in range(60)]
    speech = np.full((2_400, 1), 0.5, np.float32)
    heard: list[np.ndarray] = []
    for now_ms in range(0, 6_000, 20):
        for _ in [at for at in pieces_at if now_ms - 20 < at <= now_ms]:
            pacer.put(speech)
        if (given := pacer.take()) is not None:
            heard.append(given.samples[:, 0])
    later = np.concatenate(heard)[96_000:]
    assert (np.abs(later) > 0.4).mean() > 0.999
    assert pacer.queued_ns <= MOST_HEADROOM_NS + 100 * MS


def test_a_word_that_is_shorter_than_the_headroom_is_heard_all_the_same_and_soon() -> None:
    pacer = Pacer(24_000, NS)
    pacer.put(tone(0.03, 24_000))
    heard = taken(pacer, 6)
    assert np.abs(heard).max() > 0.1
    assert len(heard) < 3 * 960  # the headroom was waited for before
    ended = Pacer(24_000, NS)
    ended.put(tone(0.03, 24_000))
    ended.end()
    assert np.abs(taken(ended, 2)).max() > 0.1
    assert ended.is_over
    assert HEADROOM_NS < 100 * MS


def test_who_is_too_far_ahead_has_to_wait_and_what_is_cleared_is_never_said() -> None:
    pacer, met = Pacer(24_000, NS), []
    pacer.put(tone(0.9, 24_000))
    assert not pacer.is_full
    pacer.put(tone(0.2, 24_000))
    assert pacer.is_full
    pacer.mark(12_000, met.append)
    pacer.mark(26_400, lambda at_ns: met.append(-at_ns))
    taken(pacer, 10)
    assert not pacer.is_full
    pacer.clear()
    assert pacer.position == 26_400
    assert not np.abs(taken(pacer, 20)[960:]).any()
    assert met == []  # its place was not said
    pacer.put(tone(0.2, 24_000))
    taken(pacer, 20)
    assert len(met) == 1
    assert met[0] < 0


def test_a_mark_is_met_where_its_sample_is_heard_pauses_counted() -> None:
    pacer, met = Pacer(24_000, 10 * NS), []
    for at_s in (0.0, 0.5, 1.5):
        assert pacer.mark(round(at_s * 24_000), met.append)
    pacer.put(tone(1, 24_000))
    taken(pacer, 100)  # a second of speech and one of silence
    assert [round(each / MS) for each in met] == [0, 500]
    pacer.put(tone(1, 24_000))
    taken(pacer, 60)
    assert round(met[2] / MS / 20) == round((2_000 + 500) / 20)
    for _ in range(MOST_MARKS):
        pacer.mark(10**9, met.append)
    assert not pacer.mark(10**9, met.append)


def event(kind: str, **fields: object) -> str:
    return json.dumps({"type": kind, **fields})


def test_events_of_either_side_are_a_voice_or_its_text() -> None:
    pcm = b"\1\0\2\0"
    audio = base64.b64encode(pcm).decode()
    for kind in ("session.output_audio.delta", "response.output_audio.delta", "response.audio.delta"):
        assert read_event(event(kind, delta=audio)) == Spoken(pcm, None, 1)
    for kind in ("input_audio_buffer.append", "session.input_audio_buffer.append"):
        assert read_event(event(kind, audio=audio)) == Spoken(pcm, None, 1)
    told = event(
        "session.output_audio.delta", delta=audio, sample_rate=16_000, channels=2, format="pcm16", elapsed_ms=200
    )
    assert read_event(told) == Spoken(pcm, 16_000, 2)
    assert read_event(event("session.output_transcript.delta", delta="Hola")) == Written("Hola")
    assert read_event(event("response.audio_transcript.done", transcript="Hola")) == Written("", ends=True)
    assert read_event(event("input_audio_buffer.clear")) == Cleared()
    for kind in ("session.created", "response.done", "rate_limits.updated", "session.input_transcript.delta"):
        assert read_event(event(kind)) is None
    assert read_event(append_event("realtime", pcm)) == Spoken(pcm, None, 1)
    assert json.loads(append_event("translation", pcm))["type"] == "session.input_audio_buffer.append"


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", "{}", '{"type": 3}', "[" * 100_000),
        event("response.audio.delta"),
        event("response.audio.delta", delta="?"),
        event("response.audio.delta", delta="AAAA", sample_rate="much"),
        event("session.output_audio.delta", delta="", format="opus"),
        event("response.audio_transcript.delta", delta=7),
    ],
)
def test_what_is_no_event_is_refused_in_a_line(text: str) -> None:
    with pytest.raises(Refusal):
        read_event(text)


def test_a_transcript_in_pieces_becomes_sentences_each_where_it_began() -> None:
    transcript, lines = Transcript(), []
    for position, piece in (
        (0, "Good mor"),
        (2_400, "ning. How"),
        (4_800, " are you"),
        (9_600, "? Fine"),
        (12_000, ""),
    ):
        lines += transcript.add(piece, position, 24_000)
    assert lines[0] == ("Good morning.", 0)
    assert lines[1][0] == "How are you?"
    assert 2_400 <= lines[1][1] <= 24_000
    assert [line for line, _ in transcript.end()] == ["Fine"]
    assert transcript.end() == []


def test_a_sentence_without_end_is_cut_at_blanks_and_follows_at_the_pace_of_speech() -> None:
    lines = Transcript().add("word " * 80, 0, 24_000)
    assert all(40 < len(text) <= 84 for text, _ in lines)
    places = [position for _, position in lines]
    assert places == sorted(set(places))
    assert 3 * 24_000 < places[1] < 6 * 24_000
    assert Transcript().add("你好。再见。", 0, 24_000)[0][0] == "你好。"


VTT = """\ufeffWEBVTT - of a talk

NOTE nobody
reads this

intro
00:01.000 --> 00:03.500 line:90% align:start
<v Ana>¡Hola &amp; <i>bienvenidos</i>!
a todos

01:00:00.000 --> 00:00:01.000
backwards

no time at all

00:00:04.000-->01:00:05.250
a < b &lt; c
"""


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 60), max_size=30), end=st.sampled_from(["\n", "\r\n", "\r"]))
def test_cues_are_the_same_however_they_are_cut(sizes: list[int], end: str) -> None:
    reader, cues = VttReader(), []
    for piece in pieces(VTT.replace("\n", end).encode(), sizes):
        cues += reader.feed(piece)
    cues += reader.end()
    assert cues == [
        Cue(NS, 3_500 * MS, "¡Hola & bienvenidos!\na todos"),
        Cue(4 * NS, 3_605_250 * MS, "a"),  # "< b" is a tag that never ends, as browsers have it
    ]
    assert reader.skipped == 2


def test_what_is_written_is_read_again_and_what_is_no_vtt_refused() -> None:
    cues = [Cue(0, 1_500 * MS, "a < b --> & c"), Cue(3_723_004 * MS, 3_724_000 * MS, "שלום\nनमस्ते")]
    reader = VttReader()
    assert reader.feed(written(cues).encode()) + reader.end() == cues
    for text in ("1\n00:00:01,000 --> 00:00:02,000\nsrt\n\n", "WEBVTTS\n\n"):
        with pytest.raises(Refusal, match="no WebVTT"):
            VttReader().feed(text.encode())
    with pytest.raises(Refusal, match="too long"):
        VttReader().feed(b"WEBVTT\n\n" + b"x" * 9_000)


def test_a_program_hands_over_as_soon_as_it_is_asked_and_takes_it_when_it_is_given() -> None:
    room = Presence()
    room.arrive("tts", "interpreter", "es", program=True)
    room.hear("tts", True)
    room.arrive("ana", "interpreter", "es")
    with pytest.raises(Refusal, match="Nothing is heard"):
        room.propose("ana")
    room.hear("ana", True)
    assert room.on_air("es") == room.of("tts")
    room.propose("ana")
    assert room.on_air("es") == room.of("ana")
    assert room.channels["es"].handover is None
    room.propose("ana")  # to its only partner
    assert room.on_air("es") == room.of("tts")
    assert [each["program"] for each in room.to_dict()["people"]] == [True, False]
