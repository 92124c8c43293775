"""A room has one sender."""

from __future__ import annotations

import asyncio

import pytest
from test_web_sessions import visiting
from web_peers import HEADERS, ROOMY_MS, Visitor, serving

from realtime_dub.web import limits


def test_the_first_sender_keeps_the_room_until_he_has_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with serving(max_sessions=5) as (studio, http, url), visiting(Visitor(http, url)) as first:
            await first.connect(room="stage", budget_ms=ROOMY_MS)
            for _ in range(2):  # while he connects, and when he is there
                async with visiting(Visitor(http, url)) as second:
                    status, told = await second.offer("/api/sessions", {"options": {"room": "stage"}})
                    assert (status, set(told["error"])) == (409, {"what", "do"})
                    await second.connect(room="other")
                    assert await second.delete() == 204
                await first.until(lambda: studio.find(first.id).present and studio.find(first.id).inbound.size, 30)
            assert list(studio.sessions) == [first.id]
            monkeypatch.setattr(limits, "ABSENT_S", 0.5)
            for sender in first.pc.getSenders():  # gone without a word
                sender.track.stop()
            await first.until(lambda: not studio.find(first.id).present)
            async with visiting(Visitor(http, url)) as second:
                await second.connect(room="stage")
                assert list(studio.sessions) == [second.id]
                path = f"{url}/api/sessions/{first.id}"
                async with http.delete(path, headers=HEADERS) as response:  # the second one's is not his to end
                    assert response.status == 404

    asyncio.run(test())
