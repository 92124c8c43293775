"""The voice from an uploaded file: paused, begun anew, repeated; and a video's sound, which is taken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import FormData
from sound_files import buzz, wav, write_tracks
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream
from realtime_dub.media import NS
from realtime_dub.web.studio.file_voice import FileVoice, Playback

RATE, SECONDS = 16_000, 2.0
START_NS = 5 * NS


class Heard:
    """A voice from a file in which the sample at second s is s / 10, on a clock that goes as fast as it is read."""

    def __init__(self, path: Path) -> None:
        samples = np.arange(round(SECONDS * RATE), dtype=np.float32)[:, None] / RATE / 10
        path.write_bytes(wav(samples, RATE))
        self.clock = VirtualClock(START_NS)
        self.playback = Playback(self.clock, round(SECONDS * NS))
        self.voice = FileVoice(path, self.playback, self.clock)
        assert self.voice.open().rate == RATE

    def __call__(self, seconds: float) -> np.ndarray:
        """The places in the file, in s, that are heard in the next so many seconds."""
        blocks = [self.voice.read() for _ in range(round(100 * seconds))]
        stamps = [block.pts_ns for block in blocks]
        assert stamps == [stamps[0] + each * NS // 100 for each in range(len(blocks))]
        assert abs(self.clock.now_ns() - blocks[-1].end_ns) < NS // 100
        return np.concatenate([block.samples[:, 0] for block in blocks]) * 10


@pytest.fixture
def heard(tmp_path: Path) -> Any:
    made = Heard(tmp_path / "ramp.wav")
    yield made
    made.voice.close()


def test_it_is_silent_until_somebody_hears_it_and_then_begins_at_its_beginning(heard: Heard) -> None:
    assert not heard(0.5).any()
    heard.playback.begin()
    places = heard(1.0)
    assert places[-1] == pytest.approx(1.0, abs=0.02)
    assert heard.playback.to_dict() == {"playing": True, "at_s": 1.0, "seconds": 2.0, "loop": True}
    heard.playback.begin()  # again, from the next run: it goes on
    assert heard(0.2)[-1] == pytest.approx(1.2, abs=0.02)


def test_a_pause_is_silence_and_goes_on_where_it_was(heard: Heard) -> None:
    heard.playback.begin()
    heard(0.5)
    heard.playback.steer(playing=False)
    faded = heard(1.0)
    assert np.abs(np.diff(faded)).max() < 0.01  # no click
    assert not faded[len(faded) // 50 :].any()
    assert heard.playback.to_dict()["at_s"] == pytest.approx(0.5, abs=0.02)
    heard.playback.steer(playing=True)
    again = heard(0.5)
    assert np.abs(np.diff(again)).max() < 0.01
    assert again[-1] == pytest.approx(1.0, abs=0.02)


def test_it_begins_anew_and_goes_to_any_place(heard: Heard) -> None:
    heard.playback.begin()
    heard(1.5)
    heard.playback.steer(at_ns=0)
    assert heard(0.3)[-1] == pytest.approx(0.3, abs=0.02)
    heard.playback.steer(at_ns=round(1.7 * NS))
    assert heard(0.1)[-1] == pytest.approx(1.8, abs=0.02)


def test_it_repeats_unless_it_shall_not(heard: Heard) -> None:
    heard.playback.begin()
    assert heard(5.5)[-1] == pytest.approx(1.5, abs=0.03)
    heard.playback.steer(loop=False)
    assert not heard(1.0)[RATE * 6 // 10 :].any()
    told = heard.playback.to_dict()
    assert (told["playing"], told["at_s"]) == (False, SECONDS)
    heard.playback.steer(playing=True)  # played on after its end: from the beginning
    assert heard(0.5)[-1] == pytest.approx(0.5, abs=0.02)


def test_two_runs_hear_the_same_place(heard: Heard, tmp_path: Path) -> None:
    heard.playback.begin()
    heard(1.0)
    later = FileVoice(tmp_path / "ramp.wav", heard.playback, heard.clock)
    later.open()
    first = [later.read() for _ in range(3)][-1]
    assert first.samples[-1, 0] * 10 == pytest.approx(1.03, abs=0.02)
    later.close()
    with pytest.raises(EndOfStream):
        later.read()


async def send(http: Any, url: str, data: bytes, name: str, use: str = "sound") -> tuple[int, Any]:
    form = FormData()
    form.add_field("file", data, filename=name)
    return (await ask(http, "POST", f"{url}/api/uploads?use={use}", data=form, headers=HEADERS))[:2]


def test_of_a_video_the_sound_is_taken_and_a_video_without_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with serving() as (_, http, url):
            for name, data in talks.items():
                status, told = await send(http, url, data, name)
                assert (status, told.get("kind")) == (201, "sound"), (name, told)
                assert told["seconds"] == pytest.approx(1.0, abs=0.2)
            status, told = await send(http, url, mute, "mute.mp4")
            assert status == 422, told
            assert told["error"]["what"] == "No audio in the file.", told

    names = ("talk.mp4", "talk.mkv", "talk.mov")
    talks = {name: write_tracks(tmp_path / name, {"eng": 300.0}).read_bytes() for name in names}
    talks["TALK.M4V"] = talks["talk.mp4"]
    mute = write_tracks(tmp_path / "mute.mp4", {}).read_bytes()
    asyncio.run(test())


def test_a_refusal_lists_what_is_taken_in_that_place_alone() -> None:
    async def test() -> None:
        async with serving() as (_, http, url):
            status, told = await send(http, url, b"x", "face.png", "sound")
            assert status == 415
            assert ".wav" in told["error"]["do"]
            assert not {".png", ".jpg", ".heic"} & set(told["error"]["do"].replace(",", " ").split())
            status, told = await send(http, url, b"x", "voice.wav", "picture")
            assert status == 415
            assert ".png" in told["error"]["do"]
            assert ".wav" not in told["error"]["do"]
            files = (await ask(http, "GET", f"{url}/api/config"))[1]["limits"]["files"]
            assert {".mp4", ".mov", ".wav"} <= set(files["sound"])
            assert not set(files["sound"]) & set(files["picture"])

    asyncio.run(test())


def test_a_session_steers_its_file_and_goes_on_across_runs() -> None:
    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            status, told = await send(http, url, wav(buzz(RATE, 30.0)[:, None], RATE), "voice.wav")
            assert status == 201, told
            await visitor.connect(engine="passthrough", voice=f"upload:{told['id']}")
            at = f"{url}/api/sessions/{visitor.id}/voice"
            await visitor.until(lambda: ((visitor.got.stats or [{}])[-1].get("voice") or {}).get("at_s", 0) > 1)
            status, told, _ = await ask(http, "POST", at, json={"playing": False}, headers=HEADERS)
            assert (status, told["voice"]["playing"]) == (200, False)
            place = told["voice"]["at_s"]
            await visitor.patch(budget_ms=500)  # another run
            await visitor.until(lambda: visitor.got.stats[-1]["budget_ms"] == 500)
            assert visitor.got.stats[-1]["voice"]["at_s"] == place
            told = (await ask(http, "POST", at, json={"playing": True, "at_s": 0, "loop": False}, headers=HEADERS))[1]
            assert told["voice"]["at_s"] < 1
            assert told["voice"]["loop"] is False
            assert (await ask(http, "POST", at, json={"at_s": -1}, headers=HEADERS))[0] == 400
            await visitor.patch(voice="mic")
            assert (await ask(http, "POST", at, json={"playing": False}, headers=HEADERS))[0] == 409
            await visitor.delete()

    asyncio.run(test())
