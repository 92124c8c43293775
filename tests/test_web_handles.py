"""A session is reached through its handle alone, so that it may live elsewhere."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, Visitor, serving

from realtime_dub.web.studio.handle import StudioHandle
from realtime_dub.web.studio.studio import Studio

ASKED = {name for each in StudioHandle.__mro__ for name in vars(each) if not name.startswith("_")}


class FarAway:
    """What there is of a session on another machine: what its handle has, and nothing else."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.used: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        if name not in ASKED:
            raise AttributeError(f"the handle of a session has no {name}")
        self.used.add(name)
        return getattr(self._session, name)


def test_every_request_goes_through_the_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    handles: dict[str, FarAway] = {}
    find = Studio.find
    monkeypatch.setattr(Studio, "find", lambda studio, id: handles.setdefault(id, FarAway(find(studio, id))))

    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough")
            at = f"{url}/api/sessions/{visitor.id}"
            await visitor.until(lambda: len(visitor.got.pictures) > 5)
            candidate = {"candidate": None}
            assert (await ask(http, "GET", at))[0] == 200
            assert (await ask(http, "POST", f"{at}/candidates", json=candidate, headers=HEADERS))[0] == 204
            assert (await visitor.patch(strength=0.5))[0] == 200
            assert (await ask(http, "POST", f"{at}/recording", json={"action": "start"}, headers=HEADERS))[0] == 200
            count = len(visitor.got.pictures)
            await visitor.until(lambda: len(visitor.got.pictures) > count + 10)
            assert (await ask(http, "POST", f"{at}/recording", json={"action": "stop"}, headers=HEADERS))[0] == 200
            assert (await ask(http, "POST", f"{at}/voice", json={"playing": False}, headers=HEADERS))[0] == 409
            assert (await ask(http, "POST", f"{at}/enroll", json={"seconds": 1}, headers=HEADERS))[0] == 409
            assert (await ask(http, "GET", f"{at}/bank"))[0] == 404
            assert (await ask(http, "POST", f"{at}/ice", json={"sdp": "", "type": "offer"}, headers=HEADERS))[0] == 400
            assert await visitor.delete() == 204

    asyncio.run(test())
    (handle,) = handles.values()
    wanted = {"id", "options", "answer", "add_candidate", "change", "known", "enroll", "steer_voice"}
    assert handle.used == wanted | {"start_recording", "stop_recording"}


def test_a_viewer_of_a_room_adds_candidates_through_its_handle(monkeypatch: pytest.MonkeyPatch) -> None:
    find = Studio.find
    monkeypatch.setattr(Studio, "find", lambda studio, id: FarAway(find(studio, id)))

    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough", room="hall")
            at = f"{url}/whip/hall/{visitor.id}"
            fragment = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": f'"{visitor.id[-8:]}"'}
            body = "a=mid:0\r\na=end-of-candidates\r\n"
            async with http.patch(at, data=body, headers=fragment) as response:
                assert response.status == 204

    asyncio.run(test())
