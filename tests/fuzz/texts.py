"""What a visitor's browser or program sends as text: descriptions, candidates, bodies, events, captions, requests."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

from fuzz.kind import Kind, Reader

TOKEN = "a-token-of-some-length"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _sdp() -> Reader:
    """A whole answer by aiortc, as a visitor's offer gets it."""
    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.rtc.peer import Peer

    async def answer(text: str) -> None:
        peer = Peer(ServeConfig(), None, None, lambda: None)
        try:
            await peer.answer(text)
        finally:
            await peer.close()

    runner = asyncio.Runner()
    return lambda data: runner.run(answer(_text(data)))


def _described() -> Reader:
    """What is read before aiortc sees a description: much quicker, so that there are more of them."""
    from collections import Counter

    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.rtc.candidates import Targets
    from realtime_dub.web.rtc.peer import _kinds_of

    def read(data: bytes) -> None:
        _kinds_of(_text(data))
        Targets(ServeConfig(), Counter()).offer(_text(data))

    return read


def offers() -> list[bytes]:
    from aiortc import RTCPeerConnection

    async def offer(kinds: Sequence[str], data: bool) -> bytes:
        pc = RTCPeerConnection()
        for kind in kinds:
            pc.addTransceiver(kind)
        if data:
            pc.createDataChannel("studio")
        await pc.setLocalDescription(await pc.createOffer())
        text = pc.localDescription.sdp.encode()
        await pc.close()
        return bytes(text)

    return [asyncio.run(offer(("audio", "video"), True)), asyncio.run(offer(("audio",), False))]


def _bodies() -> Reader:
    """Every body of the API as it is read: which one it is, the first field says."""
    from pydantic import ValidationError

    from realtime_dub.web.http import api, captioning, operators, routes
    from realtime_dub.web.refusals import Refusal

    models: dict[str, Any] = {each.__name__: each for each in (
        routes._Offer, routes._Candidates, api._Record, api._Enroll, api._Steer, api._Floor, operators._Link,
        operators._Act, operators._Languages, operators._Output, captioning._Line)}  # fmt: skip

    def read(data: bytes) -> None:
        which, _, body = data.partition(b"\n")
        given = routes.parsed(body)
        if which == b"options" and isinstance(given, dict):
            routes.options({}, given)
            return
        model = models.get(_text(which), models[sorted(models)[len(body) % len(models)]])
        try:
            model.model_validate(given)
        except ValidationError as error:
            raise Refusal(400, f"It cannot be used: {error.errors()[0]['type']}.", "Send it otherwise.") from error

    return read


BODIES = {
    "options": {"voice": "mic", "budget_ms": 160, "room": "hall", "role": "interpreter", "engine": "mouthbank"},
    "_Offer": {"sdp": "v=0\r\n", "type": "offer", "options": {"room": "hall"}, "after": "abc"},
    "_Candidates": {"candidate": {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host", "sdpMid": "0"}},
    "_Record": {"action": "start"},
    "_Enroll": {"seconds": 5, "consent": True},
    "_Steer": {"playing": True, "at_s": 1.5, "loop": False},
    "_Floor": {"action": "propose", "to": 2},
    "_Link": {"role": "viewer", "channel": "es", "address": "https://studio.example/"},
    "_Act": {"action": "mute", "channel": "pt-BR"},
    "_Languages": {"languages": ["es", "pt-BR"]},
    "_Output": {"channel": "floor", "to": "rtmp://media.example/live/key"},
    "_Line": {"text": "Blue at f two now", "at": 1.5, "for_s": 3},
}


def _events() -> Reader:
    """Messages of realtime services on one socket, a line each."""
    from realtime_dub.web.studio.captions import plain
    from realtime_dub.web.studio.pcm import PcmFormat, PcmReader
    from realtime_dub.web.studio.realtime import RATE, Spoken, Transcript, Written, read_event

    def read(data: bytes) -> None:
        reader, transcript, position = PcmReader(PcmFormat(RATE, 1)), Transcript(), 0
        for line in _text(data).split("\n"):
            event = read_event(line)
            if isinstance(event, Spoken):
                position += len(reader.feed(event.pcm))
            elif isinstance(event, Written):
                for text, _ in [*transcript.add(event.text, position, RATE), *(transcript.end() if event.ends else ())]:
                    plain(text)

    return read


EVENTS = b"""{"type": "session.output_audio.delta", "delta": "AAAAAAAAAAA=", "sample_rate": 24000, "channels": 1}
{"type": "session.output_transcript.delta", "delta": "Blue at f. Two now"}
{"type": "response.audio_transcript.done"}
{"type": "input_audio_buffer.clear"}"""


def _captions() -> Reader:
    """WebVTT as it comes, cut where the dice of its length say."""
    from realtime_dub.web.studio.captions import plain
    from realtime_dub.web.studio.webvtt import VttReader, written

    def read(data: bytes) -> None:
        reader, cut = VttReader(), len(data) * 7 // 11
        cues = [*reader.feed(data[:cut]), *reader.feed(data[cut:]), *reader.end()]
        written(cues)
        for cue in cues:
            plain(cue.text)

    return read


VTT = b"WEBVTT\n\nNOTE a\n\n1\n00:01.000 --> 00:02.500 align:start\n<i>Blue</i> at f &amp; two\n\n"
VTT += b"00:03.000 --> 00:04.000\nsoon\n"


def _samples() -> Reader:
    """A voice of a program: WAV whose length nobody knew, in two pieces."""
    from realtime_dub.web.studio.pcm import WavReader

    def read(data: bytes) -> None:
        reader = WavReader()
        reader.feed(data[:33])
        reader.feed(data[33:])

    return read


def _wav() -> list[bytes]:
    import mutations

    return [mutations.sample(".wav")]


def _invitation() -> Reader:
    """A token whose signature is right, whatever stands in it; and as it stands."""
    from realtime_dub.web.invites import Invites, _mac
    from realtime_dub.web.invites import _text as packed

    invites = Invites(TOKEN, 12.0)
    assert invites._key is not None

    def read(data: bytes) -> None:
        body = packed(data)
        invites.read(f"{body}.{_mac(body, invites._key)}", 5)
        invites.read(_text(data), 5)

    return read


def _candidate() -> Reader:
    from collections import Counter

    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.rtc.peer import Peer

    async def read(lines: list[str]) -> None:
        from aiortc import RTCPeerConnection

        peer, page = Peer(ServeConfig(), None, None, lambda: None, dropped=Counter()), RTCPeerConnection()
        try:
            for line in lines[:8]:
                await peer.add_candidate(line, "0", 0)
        finally:
            await peer.close()
            await page.close()

    runner = asyncio.Runner()
    return lambda data: runner.run(read(_text(data).split("\n")))


def _fragment() -> Reader:
    from realtime_dub.web.http.whip import parse_fragment

    return lambda data: parse_fragment(_text(data))


def _links() -> Reader:
    """Of a media server's answer."""
    from realtime_dub.web.publish.whip_client import ice_servers

    return lambda data: ice_servers(_text(data).split("\n"))


LINKS = b'<turn:turn.example?transport=udp>; rel="ice-server"; username="u"; credential="p"; credential-type="password"'


class _Loud(logging.Handler):
    """Whatever the server's log says above a note is a fault."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))


class _Served:
    """A server that runs, with a session that waits for its page; bytes to its port."""

    def __init__(self) -> None:
        from web_peers import serving

        from realtime_dub.web.http.callers import CallerRates

        setattr(CallerRates, "take", lambda *_: True)  # noqa: B010
        self._loud, self._runner, self._offer = _Loud(), asyncio.Runner(), offers()[0].decode()
        logging.getLogger().addHandler(self._loud)
        self._server = serving(token=TOKEN)
        self._studio, _, self._url = self._runner.run(self._server.__aenter__())

    def read(self, data: bytes) -> None:
        status = self._runner.run(self._send(data))
        said, self._loud.said = self._loud.said, []
        if said or (status >= 500 and status not in (503, 507)):
            raise AssertionError(f"{status}: {said}")

    async def _send(self, data: bytes) -> int:
        from raw_http import ask

        from realtime_dub.web.config import SessionOptions

        if not self._studio.sessions:
            await self._studio.open(SessionOptions(), self._offer)
        (id, *_) = self._studio.sessions
        data = data.replace(b"SESSION", id.encode())
        try:
            return (await ask(self._url, data, seconds=1.0 if _whole(data) else 0.02)).status
        except TimeoutError:  # it waits for more: others are answered
            return (await ask(self._url, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).status


def _whole(data: bytes) -> bool:
    """Its head has an end, so that an answer comes; else the server waits for more."""
    head, _, body = data.partition(b"\r\n\r\n")
    length = head.lower().rpartition(b"content-length:")[2].split(b"\r\n")[0].strip()
    return b"\r\n\r\n" in data and (not length.isdigit() or len(length) > 7 or int(length) <= len(body))


def _asked() -> list[bytes]:
    known = "Host: 127.0.0.1\r\nX-Requested-With: realtime-dub\r\n" + f"Authorization: Bearer {TOKEN}\r\n"
    asked = [("GET", "/api/config", None), ("GET", "/metrics", None), ("GET", "/static/page.css", None)]
    asked += [("GET", "/api/recordings?ids=a,b", None), ("GET", "/api/avatars?ids=a", None)]
    asked += [("PATCH", "/api/sessions/SESSION", {"strength": 0.5}), ("GET", "/api/sessions/SESSION", None)]
    asked += [("POST", f"/api/sessions/SESSION/{part}", BODIES[body]) for part, body in (
        ("candidates", "_Candidates"), ("recording", "_Record"), ("enroll", "_Enroll"), ("voice", "_Steer"),
        ("floor", "_Floor"))]  # fmt: skip
    asked += [("POST", f"/api/rooms/hall/{part}", BODIES[body]) for part, body in (
        ("links", "_Link"), ("languages", "_Languages"), ("outputs", "_Output"), ("people/1", "_Act"))]  # fmt: skip
    asked += [("POST", "/captions/hall?channel=es", BODIES["_Line"]), ("PUT", "/api/sessions/SESSION/bank", {"a": 1})]
    return [_request(method, target, known, fields) for method, target, fields in asked]


def _request(method: str, target: str, known: str, fields: Any) -> bytes:
    body = "" if fields is None else json.dumps(fields)
    length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if body else ""
    return f"{method} {target} HTTP/1.1\r\n{known}{length}\r\n{body}".encode()


FRAGMENT = b"a=ice-ufrag:abcd\na=ice-pwd:x\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=mid:0\n"
FRAGMENT += b"a=candidate:1 1 udp 1 127.0.0.1 9 typ host\na=end-of-candidates\n"
CANDIDATES = b"candidate:1 1 udp 2113937151 10.0.0.7 40000 typ host\ncandidate:2 1 udp 1 abc.local 40000 typ host"
INVITATION = b'["interpreter","hall","es",1,9000000000000]'

KINDS: dict[str, Kind] = {
    "sdp": Kind(offers, _sdp, is_text=True),
    "described": Kind(offers, _described, is_text=True),
    "candidates": Kind(lambda: [CANDIDATES], _candidate, is_text=True),
    "fragment": Kind(lambda: [FRAGMENT], _fragment, is_text=True),
    "bodies": Kind(lambda: [f"{name}\n{json.dumps(each)}".encode() for name, each in BODIES.items()], _bodies, True),
    "requests": Kind(_asked, lambda: _Served().read, is_text=True),
    "events": Kind(lambda: [EVENTS], _events, is_text=True),
    "webvtt": Kind(lambda: [VTT], _captions, is_text=True),
    "program-wav": Kind(_wav, _samples),
    "invitation": Kind(lambda: [INVITATION], _invitation, is_text=True),
    "whip-links": Kind(lambda: [LINKS], _links, is_text=True),
}
