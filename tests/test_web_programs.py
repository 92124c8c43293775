"""Programs that interpret, over a real server: a body, a websocket and WHIP are voices of the room."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSCloseCode
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from patience import PATIENCE_S
from web_peers import HEADERS, ROOMY_MS, Visitor, VoiceTrack, serving

from realtime_dub.media import AudioBlock, samples_to_ns
from realtime_dub.web.http.whip import SDP
from realtime_dub.web.rtc import aiortc_access
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio.captions import Caption
from realtime_dub.web.studio.studio import Studio
from realtime_dub.web.upkeep import until

RATE = 24_000
JSON = {"Content-Type": "application/json"}
EXAMPLE = Path(__file__).parents[1] / "examples/espeak_interpreter.py"


def speech(seconds: float, rate: int = RATE) -> bytes:
    at = np.arange(round(seconds * rate)) / rate
    return (9_000 * np.sin(2 * np.pi * 220 * at)).astype("<i2").tobytes()


class Heard:
    """What is said on air in a room: blocks with their stamps."""

    def __init__(self, studio: Studio, room: str, channel: str = "") -> None:
        self._queue = studio.rooms.enter(room).voice(channel).add_audio_reader()
        self.blocks: list[tuple[np.ndarray, int, bool]] = []

    def all(self) -> list[tuple[np.ndarray, int, bool]]:
        while not self._queue.empty():
            self.blocks.append(self._queue.get_nowait())
        return self.blocks

    def loud_s(self) -> float:
        return sum(len(each[0]) for each in self.all() if np.abs(each[0]).max() > 0.05) / 48_000


async def post(http: ClientSession, url: str, data: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    async with http.post(url, data=data, headers={**headers}) as answer:
        return answer.status, await answer.json()


class Told:
    """What a websocket is told, from now on."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self._socket, self.all = socket, []
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            self.all.append(json.loads(message.data))

    async def one(self, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert await until(lambda: any(map(so, self.all)), PATIENCE_S), self.all
        return next(filter(so, self.all))

    async def end(self) -> None:
        await asyncio.wait_for(self._task, PATIENCE_S)


def test_a_body_is_spoken_at_its_pace_and_a_second_voice_waits_for_the_first() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            heard = Heard(studio, "hall", "es")
            address, since_s = f"{url}/voices/hall?channel=es&rate={RATE}", time.monotonic()

            async def body() -> AsyncIterator[bytes]:
                yield speech(0.5)
                await asyncio.sleep(0.3)
                yield speech(0.3)

            first = asyncio.create_task(post(http, address, body(), **{"Content-Type": "audio/pcm"}))
            await until(lambda: bool(heard.all()), PATIENCE_S)
            person = studio.rooms.enter("hall").presence.to_dict()["people"][0]
            assert (person["program"], person["on_air"], person["channel"]) == (True, True, "es")
            second = asyncio.create_task(post(http, address, speech(0.1), **{"Content-Type": "audio/pcm"}))
            status, answer = await first
            assert (status, answer["seconds"]) == (200, 0.8)
            assert time.monotonic() - since_s > 0.75
            assert (await second)[0] == 200
            assert 0.7 < heard.loud_s() < 0.9  # the second spoke beside it, to nobody
            stamps = [at_ns for _, at_ns, _ in heard.all()]
            assert stamps == sorted(stamps)
            assert studio.sessions == {}

    asyncio.run(test())


def test_a_websocket_takes_samples_and_events_and_says_what_is_wrong() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), http.ws_connect(f"{url}/voices/hall?channel=es") as socket:
            heard, told = Heard(studio, "hall", "es"), Told(socket)
            session = (await told.one(lambda each: each["type"] == "session.created"))["session"]
            assert (session["room"], session["channel"]) == ("hall", "es")
            assert session["audio"]["input"]["format"]["rate"] == RATE
            said: list[Caption] = []
            studio.captions.say = said.append
            vtt, timed = "WEBVTT\n\n00:00.300 --> 00:02.000\nHola\n", f"{url}/captions/hall?channel=es&of=voice"
            status, answer = await post(http, timed, vtt.encode(), **{"Content-Type": "text/vtt"})
            assert (status, answer) == (200, {"taken": 1, "skipped": 0})
            await socket.send_bytes(speech(0.2))
            delta = base64.b64encode(speech(0.3)).decode()
            await socket.send_json({"type": "session.output_audio.delta", "delta": delta, "sample_rate": RATE})
            await socket.send_json({"type": "session.output_audio.delta", "delta": delta, "sample_rate": 8_000})
            error = await told.one(lambda each: each["type"] == "error")
            assert "?rate=8000" in error["error"]["message"]
            await told.one(lambda each: each["type"] == "room" and each["room"]["floor"] == "you")
            await until(lambda: heard.loud_s() > 0.45, PATIENCE_S)
            assert [(each.text, each.shown_ns) for each in said] == [("Hola", 1_700_000_000)]
            assert abs(said[0].said_ns - heard.all()[0][1] - 300_000_000) < 2_000_000  # of that place in its audio
            person = studio.rooms.enter("hall").presence.people[0]
            await studio.oversight.act("hall", person.number, "mute", "")
            await told.one(lambda each: each["type"] == "room" and each["room"]["muted"])
            before = heard.loud_s()
            await socket.send_bytes(speech(0.2))
            await asyncio.sleep(0.4)
            assert heard.loud_s() - before < 0.03
            await studio.oversight.act("hall", person.number, "end", "")
            await told.one(lambda each: each["type"] == "error" and "operator" in each["error"]["message"])
            await told.end()
            assert socket.close_code == WSCloseCode.POLICY_VIOLATION
            assert studio.sessions == {}

    asyncio.run(test())


def test_what_cannot_be_a_voice_is_refused_in_a_line() -> None:
    async def test() -> None:
        async with serving(token="a-long-token", max_interpreters=1) as (studio, http, url):
            owner = {"Authorization": "Bearer a-long-token"}
            async with http.post(
                f"{url}/api/rooms/hall/links",
                json={"role": "interpreter", "channel": "es"},
                headers={**owner, **HEADERS},
            ) as made:
                bearer = {"Authorization": f"Bearer {(await made.json())['token']}"}
            wav, pcm = {"Content-Type": "audio/wav"}, {"Content-Type": "audio/pcm"}
            hall = f"{url}/voices/hall"
            captions, sdp, text = f"{url}/captions/hall", {"Content-Type": SDP}, {"Content-Type": "text/plain"}
            video, vtt, html = b"v=0\r\nm=video 9\r\n", {"Content-Type": "text/vtt"}, {"Content-Type": "text/html"}
            cases = [
                (f"{hall}?channel=es&rate=24000", b"", pcm, 401, "token"),
                (f"{hall}?rate=24000", b"", pcm | bearer, 403, "?channel=es"),
                (f"{url}/voices/other?channel=es", b"", pcm | bearer, 403, "does not allow"),
                (f"{hall}?channel=es", b"", pcm | bearer, 400, "rate is missing"),
                (f"{hall}?channel=es", b"", html | bearer, 415, "neither"),
                (f"{hall}?channel=es", b"ID3 and more than twelve", wav | bearer, 415, "no WAV"),
                (f"{hall}?channel=es&rate=24000", b"", pcm | bearer, 400, "no audio"),
                (f"{hall}?channel=es", video, sdp | bearer, 422, "audio alone"),
                (f"{hall}?channel=nowhere-at-all-x-y-z", b"", pcm | owner, 404, "no voice"),
                (f"{captions}?channel=fr", b"Salut", text | bearer, 403, "language es"),
                (f"{captions}?channel=es&of=voice", b"", vtt | bearer, 409, "No program"),
                (f"{captions}?channel=es", b"1\n\n", vtt | bearer, 415, "no WebVTT"),
                (f"{captions}?channel=es", b"x" * 4000, text | bearer, 413, "too long"),
                (f"{captions}?channel=es", rb'{"text": "\u202e \n"}', JSON | bearer, 422, "no text"),
                (f"{captions}?channel=es", b'{"text": "a", "at": 9}', JSON | bearer, 422, "far from now"),
            ]
            for address, data, headers, status, says in cases:
                got, answer = await post(http, address, data, **headers)
                assert got == status, (address, answer)
                assert says in answer["error"]["what"] + answer["error"]["do"]
            async with http.get(f"{hall}?channel=es", headers=bearer) as answer:
                assert answer.status == 426
            async with http.ws_connect(f"{hall}?channel=es", headers=bearer):
                got, answer = await post(http, f"{hall}?channel=es&rate=24000", speech(1), **pcm, **bearer)
                assert (got, "no seat" in answer["error"]["what"]) == (503, True)
                links = f"{url}/api/rooms/hall/links/interpreter"
                async with http.delete(links, headers={**owner, **HEADERS}) as gone:
                    assert gone.status == 204
                assert await until(lambda: studio.sessions == {}, PATIENCE_S)  # they go with their link
            assert await until(lambda: studio.sessions == {}, PATIENCE_S)

    asyncio.run(test())


@contextlib.asynccontextmanager
async def whip(http: ClientSession, address: str) -> AsyncIterator[RTCPeerConnection]:
    """A voice over WHIP: offered, answered, and ended at its Location."""
    pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    pc.addTransceiver(VoiceTrack(), "sendonly")
    await pc.setLocalDescription(await pc.createOffer())
    try:
        async with http.post(address, data=pc.localDescription.sdp.encode(), headers={"Content-Type": SDP}) as answer:
            assert answer.status == 201, await answer.text()
            await pc.setRemoteDescription(RTCSessionDescription(await answer.text(), "answer"))
            resource = answer.headers["Location"]
        yield pc
        assert resource.startswith("/voices/hall/")
        async with http.delete(address.partition("/voices")[0] + resource) as gone:
            assert gone.status == 200
    finally:
        await aiortc_access.close(pc)


def loud_at(visitor: Visitor, since_s: float) -> float | None:
    return next(
        (at_s for at_s, _, values in visitor.got.sounds if at_s > since_s and np.abs(values).max() > 1500), None
    )


class Leaving:
    """When sound leaves on an output: its first loud sample since ``begin``, and the last one; seconds of the clock."""

    def __init__(self, output: OutputTimeline) -> None:
        self._output, self._write = output, output.ring.write
        self.last_s = 0.0
        self.begin()
        output.ring.write = self._look

    def begin(self) -> None:
        self.first_s = float("nan")

    def _look(self, block: AudioBlock) -> None:
        self._write(block)
        loud = np.flatnonzero(np.abs(block.samples[:, 0]) > 0.05)
        if len(loud):
            output, sample_ns = self._output, samples_to_ns(int(loud[0]), block.rate)
            self.last_s = (output.origin_ns + output.lag_ns + block.pts_ns + sample_ns) / 1e9
            self.first_s = self.last_s if self.first_s != self.first_s else self.first_s


def planned(studio: Studio) -> list[int]:
    """When captions are to be told from now on, on the clock."""
    due_ns: list[int] = []
    later = studio.captions._later

    def noted(wait_ns: int, call: Callable[[], None]) -> object:
        due_ns.append(time.monotonic_ns() + wait_ns)
        return later(wait_ns, call)

    studio.captions._later = noted
    return due_ns


@pytest.mark.slow
def test_a_program_takes_over_from_one_over_whip_and_its_captions_come_with_its_voice() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url):
            speaker, viewer = Visitor(http, url), Visitor(http, url, sends=False)
            try:
                await speaker.connect(
                    engine="passthrough", voice="room:hall:es", room="hall", budget_ms=ROOMY_MS, consent=True
                )
                await speaker.until(lambda: len(speaker.got.pictures) > 20)
                await viewer.connect(role="viewer", room="hall")
                presence = studio.rooms.enter("hall").presence
                leaving = Leaving(studio.rooms.enter("hall").timeline)
                async with whip(http, f"{url}/voices/hall?channel=es"):
                    await viewer.until(lambda: loud_at(viewer, 0) is not None)
                    assert [each.program for each in presence.interpreters()] == [True]
                    address = f"{url}/voices/hall?channel=es&hear=translation"
                    async with http.ws_connect(address) as socket:
                        heard = json.loads((await socket.receive()).data)
                        assert heard["type"] == "session.input_audio_buffer.append"
                        assert len(base64.b64decode(heard["audio"])) == RATE // 5 * 2
                        await socket.close()
                # Nothing is said, and nothing on its way.
                await viewer.until(lambda: time.monotonic() - leaving.last_s > 1.5)
                leaving.begin()
                async with http.ws_connect(f"{url}/voices/hall?channel=es") as socket:
                    since_s = time.monotonic()
                    due_ns = planned(studio)
                    await socket.send_json({"type": "session.output_transcript.delta", "delta": "Buenos <b>días</b>. "})
                    await socket.send_bytes(speech(0.8))
                    await viewer.until(lambda: loud_at(viewer, since_s))
                    await viewer.until(lambda: viewer.got.captions)
                    told_s, told = viewer.got.captions[0]
                    assert (told["text"], told["channel"], told["heard"]) == ("Buenos <b>días</b>.", "es", True)
                    assert told_s - since_s > ROOMY_MS / 1000 - 0.1
                    # With its sound; on a machine with too much to do that is later, and so is all that is done here.
                    assert -0.06 < leaving.first_s - due_ns[0] / 1e9 < 0.5
                    assert told_s > due_ns[0] / 1e9 - 0.01
                    line = {"text": "مرحبا", "at": time.time() + 0.2, "for_s": 2}
                    assert (await post(http, f"{url}/captions/hall?channel=ar", json.dumps(line), **JSON))[0] == 200
                    await viewer.until(lambda: len(viewer.got.captions) > 1)
                    assert viewer.got.captions[1][1] | {"number": 0} == {
                        **{
                            "t": "caption",
                            "number": 0,
                            "channel": "ar",
                            "text": "مرحبا",
                            "for_ms": 2000,
                            "heard": False,
                        }
                    }
            finally:
                await viewer.close()
                await speaker.close()

    asyncio.run(test())


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_the_example_reads_lines_into_a_room() -> None:
    async def test() -> None:
        async with serving() as (studio, _, url):
            said: list[Caption] = []
            studio.captions.say = said.append  # what would be shown, if somebody watched
            command = (sys.executable, str(EXAMPLE), url, "hall", "es")
            process = await asyncio.create_subprocess_exec(*command, stdin=-1, stderr=-1, env=dict(os.environ))
            await until(lambda: bool(studio.sessions), PATIENCE_S)
            heard = Heard(studio, "hall", "es")
            process.stdin.write(b"Hola.\n")  # the room has the voice once something is heard
            assert await asyncio.wait_for(process.stderr.readline(), PATIENCE_S) == b"on air\n"
            _, error = await process.communicate("\nAdiós\n".encode())
            assert (process.returncode, error) == (0, b"")
            await until(lambda: studio.sessions == {}, PATIENCE_S)
            assert [(each.text, each.channel) for each in said] == [("Hola.", "es"), ("Adiós", "es")]
            assert said[1].said_ns - said[0].said_ns > 0.4e9
            assert 0.4 < heard.loud_s() < 3

    asyncio.run(test())
