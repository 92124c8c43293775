"""A small real server for the tests of the page: every session gets its own picture and sound back, marked and late.

The picture comes back with an orange square while the strength is above zero ("fresh") and untouched otherwise
("passthrough"). Picture and sound are held for the budget. All figures in the statistics are measured here.

Run as a program it prints its address and serves until it is ended.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import secrets
import sys
import tempfile
import time
from collections import deque
from pathlib import Path
from typing import Any

import av
import numpy as np
from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRecorder, MediaRelay
from aiortc.mediastreams import MediaStreamError
from aiortc.sdp import candidate_from_sdp

STATIC = Path(__file__).parents[1] / "realtime_dub/web/static"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
MARK = (28, 100, 230)  # BGR
MARK_SIZE = 24
STATS_S = 0.5
OPTIONS = {"engine": "echo", "budget_ms": 200, "strength": 1.0, "voice": "mic"}
ENGINES = [
    {"name": "echo", "bundle": "echo 1", "look_ahead_ms": 120},
    {"name": "echo-quick", "bundle": "echo 2", "look_ahead_ms": 40},
]


class Held(MediaStreamTrack):
    """Gives what comes in as late as the budget says, and measures how late it really was."""

    def __init__(self, source: MediaStreamTrack, session: Session) -> None:
        super().__init__()
        self.kind = source.kind
        self.late_ms: deque[float] = deque(maxlen=50)
        self._source, self._session = source, session
        self._waiting: asyncio.Queue[tuple[float, Any]] = asyncio.Queue(200)
        self._reader: asyncio.Task[None] | None = None

    async def _read(self) -> None:
        while True:
            frame = await self._source.recv()
            if self._waiting.full():
                self._waiting.get_nowait()
            self._waiting.put_nowait((time.monotonic(), frame))

    async def recv(self) -> Any:
        self._reader = self._reader or asyncio.create_task(self._read())
        came, frame = await self._waiting.get()
        if frame is None:
            raise MediaStreamError
        await asyncio.sleep(max(0.0, came + self._session.options["budget_ms"] / 1000 - time.monotonic()))
        self.late_ms.append(1000 * (time.monotonic() - came))
        return self._session.mark(frame) if self.kind == "video" else frame

    def stop(self) -> None:
        super().stop()
        if self._reader:
            self._reader.cancel()
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait((0.0, None))


class Session:
    """One browser: its connection, its options, what was counted."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.id = secrets.token_urlsafe(8)
        self.options = {**OPTIONS, **options}
        self.peer = RTCPeerConnection()
        self.counts = {"total": 0, "fresh": 0, "reused": 0, "passthrough": 0, "lagged": 0, "skipped": 0}
        self.bank = b""
        self.recorder: MediaRecorder | None = None
        self.film = Path(tempfile.mkdtemp()) / "session.mp4"
        self._held: dict[str, Held] = {}
        self._relay = MediaRelay()
        self._enroll_until = self._enroll_s = 0.0
        self._sent = (time.monotonic(), 0, 0)
        self._teller: asyncio.Task[None] | None = None
        self.peer.on("track", self._track)
        self.peer.on("datachannel", self._channel)

    def _track(self, track: MediaStreamTrack) -> None:
        held = self._held[track.kind] = Held(track, self)
        self.peer.addTrack(self._relay.subscribe(held))

    def _channel(self, channel: Any) -> None:
        self._teller = asyncio.create_task(self._tell(channel))

    def mark(self, frame: av.VideoFrame) -> av.VideoFrame:
        self.counts["total"] += 1
        drawn = self.options["strength"] > 0
        self.counts["fresh" if drawn else "passthrough"] += 1
        if not drawn:
            return frame
        image = frame.to_ndarray(format="bgr24")
        image[-2 * MARK_SIZE : -MARK_SIZE, -2 * MARK_SIZE : -MARK_SIZE] = MARK
        marked = av.VideoFrame.from_ndarray(image, format="bgr24")
        marked.pts, marked.time_base = frame.pts, frame.time_base
        return marked

    def enroll(self, seconds: float) -> None:
        self._enroll_s, self._enroll_until = seconds, time.monotonic() + seconds

    async def start_recording(self) -> None:
        self.recorder = MediaRecorder(str(self.film))
        for held in self._held.values():
            self.recorder.addTrack(self._relay.subscribe(held))
        await self.recorder.start()

    async def stop_recording(self) -> None:
        recorder, self.recorder = self.recorder, None
        if recorder:
            await recorder.stop()

    async def close(self) -> None:
        if self._teller:
            self._teller.cancel()
        await self.stop_recording()
        for held in self._held.values():
            held.stop()
        await self.peer.close()

    async def _tell(self, channel: Any) -> None:
        while channel.readyState == "open":
            channel.send(json.dumps(await self._stats()))
            await asyncio.sleep(STATS_S)

    async def _stats(self) -> dict[str, Any]:
        late = {kind: list(held.late_ms) for kind, held in self._held.items() if held.late_ms}
        picture, sound = late.get("video", []), late.get("audio", [])
        fps, kbps, loss = await self._rates()
        return {
            "t": "stats",
            "fps": fps,
            "latency_ms": {"p50": _percentile(picture, 50), "p95": _percentile(picture, 95)},
            "frames": self.counts,
            "av_offset_ms": float(np.median(picture) - np.median(sound)) if picture and sound else None,
            "budget_ms": self.options["budget_ms"],
            "bitrate_kbps": kbps,
            "loss_percent": loss,
            "enroll": self._progress(),
            "recording": self.recorder is not None,
            "options": self.options,
        }

    async def _rates(self) -> tuple[float, float, float]:
        """Frames and kilobits a second since the last call, and the loss that the browser reported."""
        entries = (await self.peer.getStats()).values()
        sent = sum(entry.bytesSent for entry in entries if entry.type == "outbound-rtp")
        losses = [entry.fractionLost for entry in entries if entry.type == "remote-inbound-rtp"]
        now, frames = time.monotonic(), self.counts["total"]
        since, frames_before, sent_before = self._sent
        self._sent = (now, frames, sent)
        seconds = max(1e-3, now - since)
        kbps = (sent - sent_before) * 8 / 1000 / seconds
        return (frames - frames_before) / seconds, kbps, 100 * max(losses, default=0) / 256

    def _progress(self) -> dict[str, float] | None:
        left = self._enroll_until - time.monotonic()
        if left <= 0:
            if self._enroll_s:
                self.bank, self._enroll_s = secrets.token_bytes(1000), 0.0
            return None
        return {"progress": 1 - left / self._enroll_s}


def _percentile(values: list[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def refusal(status: int, what: str, do: str, **headers: str) -> web.Response:
    return web.json_response({"error": {"what": what, "do": do}}, status=status, headers=headers)


class Server:
    """The routes of the page's interface."""

    def __init__(self, max_sessions: int, token: str, features: list[str]) -> None:
        self.max_sessions, self.token, self.features = max_sessions, token, features
        self.sessions: dict[str, Session] = {}

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._guard], client_max_size=20 << 20)
        one = "/api/sessions/{id}"
        app.add_routes(
            [
                web.get("/", self._page),
                web.static("/static", STATIC),
                web.get("/api/config", self._config),
                web.post("/api/sessions", self._open),
                web.patch(one, self._change),
                web.delete(one, self._close),
                web.post(one + "/candidates", self._candidate),
                web.post(one + "/ice", self._restart),
                web.post(one + "/recording", self._record),
                web.get(one + "/film", self._film),
                web.post(one + "/enroll", self._enroll),
                web.get(one + "/bank", self._get_bank),
                web.put(one + "/bank", self._put_bank),
                web.post("/api/uploads", self._upload),
            ]
        )
        app.on_shutdown.append(self._shutdown)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        api = request.path.startswith("/api/")
        if api and self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return refusal(401, "The token is wrong.", "Enter the token that the server printed.")
        if api and request.method != "GET" and request.headers.get("X-Requested-With") != "realtime-dub":
            return refusal(403, "The request does not come from the page.", "Open the page of this server.")
        if "id" in request.match_info and request.match_info["id"] not in self.sessions:
            return refusal(404, "The session is over.", "Start again.")
        response: web.StreamResponse = await handler(request)
        response.headers["Content-Security-Policy"] = CSP
        return response

    def _session(self, request: web.Request) -> Session:
        return self.sessions[request.match_info["id"]]

    async def _page(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "index.html")

    async def _config(self, request: web.Request) -> web.Response:
        budgets = {"min_ms": 60, "default_ms": OPTIONS["budget_ms"]}
        answer = {"engines": ENGINES, "budgets": budgets, "ice_servers": [], "max_sessions": self.max_sessions}
        more = {
            "sessions": len(self.sessions),
            "limits": {"upload_mb": 20},
            "version": "test",
            "features": self.features,
        }
        return web.json_response({**answer, **more})

    async def _open(self, request: web.Request) -> web.Response:
        if len(self.sessions) >= self.max_sessions:
            return refusal(
                503, "The server is full.", "Wait for someone to leave, then try again.", **{"Retry-After": "7"}
            )
        body = await request.json()
        session = Session(body["options"])
        self.sessions[session.id] = session
        return web.json_response(
            {"id": session.id, "options": session.options, **await _answer(session, body)}, status=201
        )

    async def _restart(self, request: web.Request) -> web.Response:
        return web.json_response(await _answer(self._session(request), await request.json()))

    async def _candidate(self, request: web.Request) -> web.Response:
        given = (await request.json())["candidate"]
        if given and given["candidate"]:
            candidate = candidate_from_sdp(given["candidate"].removeprefix("candidate:"))
            candidate.sdpMid, candidate.sdpMLineIndex = given["sdpMid"], given["sdpMLineIndex"]
            await self._session(request).peer.addIceCandidate(candidate)
        return web.Response(status=204)

    async def _change(self, request: web.Request) -> web.Response:
        session = self._session(request)
        session.options.update(await request.json())
        return web.json_response({"options": session.options})

    async def _close(self, request: web.Request) -> web.Response:
        await self.sessions.pop(request.match_info["id"]).close()
        return web.Response(status=204)

    async def _record(self, request: web.Request) -> web.Response:
        session = self._session(request)
        if (await request.json())["action"] == "start":
            await session.start_recording()
            return web.json_response({"state": "recording"})
        await session.stop_recording()
        return web.json_response({"state": "stopped", "url": f"api/sessions/{session.id}/film"})

    async def _film(self, request: web.Request) -> web.FileResponse:
        return web.FileResponse(self._session(request).film)

    async def _enroll(self, request: web.Request) -> web.Response:
        self._session(request).enroll((await request.json())["seconds"])
        return web.json_response({"state": "running"})

    async def _get_bank(self, request: web.Request) -> web.Response:
        bank = self._session(request).bank
        return web.Response(body=bank) if bank else refusal(404, "There is no bank yet.", "Learn your mouth first.")

    async def _put_bank(self, request: web.Request) -> web.Response:
        self._session(request).bank = await request.read()
        return web.Response(status=204)

    async def _upload(self, request: web.Request) -> web.Response:
        part = (await request.post())["file"]
        assert isinstance(part, web.FileField)
        kind = part.content_type.split("/")[0]
        size = len(io.BytesIO(part.file.read()).getbuffer())
        return web.json_response({"id": secrets.token_urlsafe(6), "kind": kind, "size": size}, status=201)

    async def _shutdown(self, app: web.Application) -> None:
        for session in self.sessions.values():
            await session.close()


async def _answer(session: Session, offer: dict[str, Any]) -> dict[str, str]:
    await session.peer.setRemoteDescription(RTCSessionDescription(offer["sdp"], offer["type"]))
    await session.peer.setLocalDescription(await session.peer.createAnswer())
    return {"sdp": session.peer.localDescription.sdp, "type": session.peer.localDescription.type}


async def serve(server: Server) -> None:
    runner = web.AppRunner(server.app())
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    try:
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)  # until whoever started it lets go
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--max-sessions", type=int, default=2)
    parser.add_argument("--token", default="")
    parser.add_argument("--features", default="recording,enroll,bank,rooms,uploads,pictures")
    given = parser.parse_args()
    asyncio.run(serve(Server(given.max_sessions, given.token, given.features.split(","))))
