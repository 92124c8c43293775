"""While another voice is dubbed, the page's microphone teaches how the person talks, if they ask for it."""

from __future__ import annotations

from typing import Any

import pytest
from test_web_sessions import run, visiting
from web_peers import ROOMY_MS, Visitor, serving

from realtime_dub.web.config import SessionOptions
from realtime_dub.web.studio.studio import Studio


def learnt(visitor: Visitor) -> dict[str, Any]:
    return visitor.got.stats[-1].get("own_voice", {}) if visitor.got.stats else {}


def comes_in(studio: Studio, visitor: Visitor) -> bool:
    """The own microphone reaches the run on air; whether there is time to learn from it, the machine says."""
    run = studio.find(visitor.id).present_run
    own_mic = run._pipeline._parts.own_mic if run is not None and run._pipeline is not None else None
    return own_mic is not None and own_mic._ring.end_ns is not None


def test_the_microphone_is_heard_beside_another_voice_when_it_is_asked_for() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="mouthbank", voice="none", budget_ms=ROOMY_MS)
            await visitor.until(lambda: len(visitor.got.pictures) > 40)
            assert not comes_in(studio, visitor)
            assert (await visitor.patch(own_mic=True))[1]["options"]["own_mic"] is True
            await visitor.until(lambda: comes_in(studio, visitor))
            assert studio.find(visitor.id).present_run.error is None
            assert await visitor.delete() == 204

    run(test)


def test_an_engine_that_learns_nothing_goes_on_without_it() -> None:
    async def test() -> None:
        async with serving() as (studio, http, url), visiting(Visitor(http, url)) as visitor:
            await visitor.connect(engine="passthrough", voice="none", own_mic=True)
            await visitor.until(lambda: len(visitor.got.pictures) > 20)
            assert learnt(visitor)["heard_s"] == 0
            assert studio.find(visitor.id).present_run.error is None
            assert await visitor.delete() == 204

    run(test)


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        ({"own_mic": True, "voice": "room:hall"}, True),
        ({"own_mic": True, "voice": "upload:abc"}, True),
        ({"own_mic": False, "voice": "room:hall"}, False),
        ({"own_mic": True, "voice": "mic"}, False),  # it is the voice itself, and learnt from as such
        ({"own_mic": True, "voice": "room:hall", "picture": "upload:abc"}, False),  # the face is not the speaker's
    ],
)
def test_it_is_heard_where_it_is_the_persons_beside_anothers(options: dict[str, Any], learns: bool) -> None:
    assert SessionOptions(**options).learns_from_mic is learns
