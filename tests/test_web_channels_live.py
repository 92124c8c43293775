"""Channels with real connections: who watches which is shown what, one pipeline and one encoder for all of them."""

from __future__ import annotations

import asyncio
import itertools
import queue
from typing import Any

import numpy as np
import pytest
from web_peers import ROOMY_MS, Visitor, serving

from realtime_dub.web import limits
from realtime_dub.web.rtc.shared_encoding import AudioStream, VideoStream
from realtime_dub.web.studio.room import Room
from realtime_dub.web.studio.studio import Studio

HALL: dict[str, Any] = {"room": "hall", "engine": "passthrough", "budget_ms": ROOMY_MS}


def told(visitor: Visitor) -> dict[str, Any]:
    return next((each["room"] for each in reversed(visitor.got.stats) if "room" in each), {})


def room_of(studio: Studio) -> Room:
    room = studio.rooms.find("hall")
    assert room is not None
    return room


async def watches(visitor: Visitor) -> None:
    """From now on pictures and something audible come."""
    pictures, sounds = len(visitor.got.pictures), len(visitor.got.sounds)
    await visitor.until(lambda: len(visitor.got.pictures) > pictures + 5)
    await visitor.until(lambda: any(np.abs(each[2]).max() > 1500 for each in visitor.got.sounds[sounds:]))


def in_order(visitor: Visitor) -> bool:
    stamps = [each[1] for each in visitor.got.sounds]
    return all(early < late for early, late in itertools.pairwise(stamps))


@pytest.mark.long
def test_viewers_watch_channels_and_take_another_one_within_a_second() -> None:
    async def test() -> None:
        async with serving(max_sessions=1, max_channels=2) as (studio, http, url):
            sender = Visitor(http, url, fps=10)
            await sender.connect(**HALL, languages=["en", "es"])
            viewers = [Visitor(http, url, sends=False) for _ in range(3)]
            for viewer, channel in zip(viewers, ("floor", "en", "es"), strict=True):
                await viewer.connect(role="viewer", room="hall", channel=channel)
            await asyncio.gather(*(watches(each) for each in viewers))
            for each in viewers:  # nobody interprets
                await each.until(lambda each=each: told(each).get("dubbed") is False)
            assert studio.channels == 0
            english = Visitor(http, url)
            await english.connect(role="interpreter", room="hall", channel="en")
            await viewers[1].until(lambda: told(viewers[1]).get("dubbed") is True)
            await asyncio.gather(*(watches(each) for each in viewers))
            assert (studio.channels, told(viewers[2])["dubbed"]) == (1, False)
            assert {each["name"]: each["state"] for each in told(sender)["channels"]} == {"en": "dubbed", "es": "floor"}
            status, _ = await viewers[2].patch(channel="en")
            assert (status, room_of(studio).dub("en").encoded["video/vp8"].takers) == (200, 2)
            await watches(viewers[2])
            assert await english.delete() == 204
            await english.close()
            await viewers[1].until(lambda: told(viewers[1]).get("dubbed") is False)
            await asyncio.gather(*(watches(each) for each in viewers))
            await viewers[1].until(lambda: studio.channels == 0)
            assert all(in_order(each) for each in viewers)
            for each in (*viewers, sender):
                assert await each.delete() == 204
                await each.close()

    asyncio.run(test())


class Undecoded(queue.Queue[Any]):
    """Stands for a viewer's decoder: frames are counted, so that fifty of them have room on one machine."""

    frames = 0

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None:
            super().put(item)
        else:
            self.frames += 1


def receiving(viewer: Visitor) -> list[Undecoded]:
    """Before it is connected."""
    queues = [Undecoded() for _ in viewer.pc.getTransceivers()]
    for transceiver, each in zip(viewer.pc.getTransceivers(), queues, strict=True):
        setattr(transceiver.receiver, "_RTCRtpReceiver__decoder_queue", each)  # noqa: B010
    return queues


@pytest.mark.long
def test_fifty_viewers_of_two_channels_take_one_pipeline_and_one_encoder_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "OFFERS_BURST", 200.0)  # they all have one address

    async def test() -> None:
        async with serving(max_sessions=1, max_channels=2, max_viewers=60, max_interpreters=2) as (studio, http, url):
            sender = Visitor(http, url, height=120, fps=5)
            await sender.connect(**HALL, languages=["en", "es"])
            interpreters = {name: Visitor(http, url) for name in ("en", "es")}
            for name, visitor in interpreters.items():
                await visitor.connect(role="interpreter", room="hall", channel=name)
            # Fifty times fifty packets of audio a second are too many beside all else: ten of them hear.
            kinds = [("video", "audio") if number % 10 < 2 else ("video",) for number in range(50)]
            viewers = [Visitor(http, url, sends=False, kinds=each) for each in kinds]
            queues = [receiving(viewer) for viewer in viewers]
            for number, viewer in enumerate(viewers):
                await viewer.connect(role="viewer", room="hall", channel=("en", "es")[number % 2])
            room = room_of(studio)
            await sender.until(lambda: all(room.dub(name).flows for name in ("en", "es")))
            await sender.until(lambda: all(each.frames > 3 for pair in queues for each in pair))
            assert studio.channels == 2
            for name in ("en", "es"):
                streams = list(room.dub(name).encoded.values())
                assert [type(each) for each in streams].count(VideoStream) == 1
                assert [type(each) for each in streams].count(AudioStream) == 1
                assert {type(each): each.takers for each in streams} == {VideoStream: 25, AudioStream: 5}
                assert room.dub(name).watched == 1
            for each in (*viewers, *interpreters.values(), sender):
                await each.close()

    asyncio.run(test())


FOUR: dict[str, dict[str, Any]] = {
    "sender": {**HALL, "languages": ["en", "es"]},
    "interpreter": {"role": "interpreter", "room": "hall", "channel": "es"},
    "viewer": {"role": "viewer", "room": "hall", "channel": "es"},
    "second viewer": {"role": "viewer", "room": "hall", "channel": "floor"},
}


async def come(http: Any, url: str, who: str) -> Visitor:
    visitor = Visitor(http, url, sends="viewer" not in who, fps=10)
    await visitor.connect(**FOUR[who])
    return visitor


async def all_are_on(here: dict[str, Visitor]) -> None:
    """Both viewers watch and hear, one of them the dub."""
    await here["viewer"].until(lambda: told(here["viewer"]).get("dubbed") is True)
    await asyncio.gather(*(watches(here[who]) for who in ("viewer", "second viewer")))


@pytest.mark.long
@pytest.mark.parametrize("order", list(itertools.permutations(FOUR)), ids=", ".join)
def test_in_any_order_and_each_leaves_and_comes_back(order: tuple[str, ...]) -> None:
    async def test() -> None:
        async with serving(max_sessions=1, max_channels=2) as (_, http, url):
            here = {who: await come(http, url, who) for who in order}
            await all_are_on(here)
            for who in order:
                left = here.pop(who)
                assert await left.delete() == 204
                await left.close()
                here[who] = await come(http, url, who)
                await all_are_on(here)
            for visitor in here.values():
                assert await visitor.delete() == 204
                await visitor.close()

    asyncio.run(test())
