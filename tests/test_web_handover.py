"""A handover between two interpreters: at one instant, without a gap, and never both."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from test_web_room import come, go, room
from test_web_safety import ask
from web_peers import HEADERS, ROOMY_MS, ToneTrack, Visitor, serving

from realtime_dub.clock import VirtualClock
from realtime_dub.flow import AudioRing
from realtime_dub.media import MS, NS, AudioBlock
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.rtc.browser_input import RATE, BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVoice
from realtime_dub.web.studio.room import Microphone, Room

BLOCK = RATE // 50
HALF = 60  # blocks before the handover, and after
TONES = {"a": 500.0, "b": 1_500.0}  # whole periods in a block: any window tells them apart
GAP_MS = 200


class Interpreter:
    """A session, as a room knows it, that says a tone."""

    closed, away_s, films = False, 0.0, False

    def __init__(self, id: str, room: Room, behind_ns: int) -> None:
        self.id, self.told = id, 0
        self.input: BrowserInput = BrowserInput(room.clock)
        self.options = SessionOptions(role="interpreter", room=room.name, channel="es")
        room.join(self)
        self.input = Microphone(room, id)
        self._behind_ns, self._at = behind_ns, 0

    def say(self, at_ns: int) -> None:
        at = (self._at + np.arange(BLOCK)) / RATE
        self._at += BLOCK
        tone = 0.5 * np.sin(2 * np.pi * TONES[self.id] * at).astype(np.float32)
        self.input.give(tone[:, None], at_ns - self._behind_ns, False)

    def send_room(self) -> None:
        self.told += 1

    def follow(self) -> None:
        """Nothing is shown to it."""

    def speak_under(self, heard: np.ndarray, captured_ns: int) -> None:
        """It interprets."""


def shares(samples: np.ndarray) -> dict[str, np.ndarray]:
    """How loud each one's tone is in each 5 ms, from 0 to 1."""
    window = RATE // 200
    parts = samples[: len(samples) // window * window].reshape(-1, window)
    at = np.arange(window) / RATE
    found = {}
    for id, hertz in TONES.items():
        found[id] = np.abs(parts @ np.exp(-2j * np.pi * hertz * at)) / window * 4
    return found


@pytest.mark.computes
@pytest.mark.parametrize(("behind_a_ms", "behind_b_ms"), [(100, 100), (100, 107), (107, 100), (90, 140), (140, 90)])
def test_the_voice_goes_over_from_one_to_the_other(behind_a_ms: int, behind_b_ms: int) -> None:
    async def test() -> None:
        clock = VirtualClock(NS)
        room = Room("hall", clock)
        a, b = Interpreter("a", room, behind_a_ms * MS), Interpreter("b", room, behind_b_ms * MS)
        voice = BrowserVoice(room.voice("es"))
        voice.open()
        ring = AudioRing(RATE, 1, 10 * NS)

        def drain() -> None:
            while voice._pending or not voice._queue.empty():  # type: ignore[union-attr]
                block = voice.read()
                ring.write(AudioBlock(block.samples, RATE, block.pts_ns))

        for half in range(2):
            for _ in range(HALF):
                clock.advance_to(clock.now_ns() + 20 * MS)
                a.say(clock.now_ns())
                b.say(clock.now_ns())
                drain()
            if half == 0:
                assert room.presence.on_air("es").id == "a"  # type: ignore[union-attr]
                room.presence.propose("b")
                room.presence.confirm("a")
        voice.close()
        length = 2 * HALF * BLOCK
        loud = shares(ring.read(NS + 20 * MS - behind_a_ms * MS, length)[:, 0])
        heard = {id: np.flatnonzero(share > 0.3) for id, share in loud.items()}
        assert len(heard["a"]) * 5 > 0.9 * HALF * 20
        assert len(heard["b"]) * 5 > 0.9 * HALF * 20
        assert heard["a"].max() < heard["b"].min()  # never both
        assert (heard["b"].min() - heard["a"].max()) * 5 <= GAP_MS
        assert a.told > 0

    asyncio.run(test())


@pytest.mark.computes
def test_two_languages_are_two_channels() -> None:
    async def test() -> None:
        clock = VirtualClock(NS)
        hall = Room("hall", clock)
        a = Interpreter("a", hall, 0)
        b = Interpreter("b", hall, 0)
        hall.presence.move(2, "en")
        readers = {name: hall.voice(name).add_audio_reader() for name in ("es", "en", "")}
        for _ in range(3):
            a.say(clock.now_ns())
            b.say(clock.now_ns())
        assert {name: reader.qsize() for name, reader in readers.items()} == {"es": 3, "en": 3, "": 0}

    asyncio.run(test())


def test_whoever_is_muted_fades_out_and_in() -> None:
    heard = BrowserInput(VirtualClock())
    steady = np.ones((BLOCK, 1), np.float32)
    assert heard._faded(steady) is steady
    heard.muted = True
    fading, silent = heard._faded(steady), heard._faded(steady)
    assert fading[0, 0] == 1
    assert fading[-1, 0] == 0
    assert np.abs(np.diff(fading[:, 0])).max() < 0.01
    assert not silent.any()
    heard.muted = False
    assert np.array_equal(heard._faded(steady), fading[: BLOCK // 4][::-1].tolist() + steady[BLOCK // 4 :].tolist())
    assert heard._faded(steady) is steady


async def hand_over(http: Any, url: str, who: Visitor, action: str, **more: Any) -> tuple[int, Any]:
    body = {"action": action, **more}
    told = await ask(http, "POST", f"{url}/api/sessions/{who.id}/floor", json=body, headers=HEADERS)
    return told[0], told[1]


def test_a_handover_that_the_other_one_confirms() -> None:
    async def test() -> None:
        async with serving() as (_, http, url):
            one = await come(http, url, "interpreter")
            await one.until(lambda: room(one).get("floor") == "you")  # whoever is heard first is on air
            two = await come(http, url, "interpreter")
            await one.until(lambda: any(each["heard"] for each in room(one).get("partners", ())))
            await two.until(lambda: room(two).get("floor") == "another")
            assert [each["number"] for each in room(two)["partners"]] == [room(one)["you"]]
            assert (await hand_over(http, url, two, "confirm"))[0] == 409
            assert (await hand_over(http, url, two, "propose"))[0] == 204
            mine = {"from": room(one)["you"], "to": room(two)["you"], "by": room(two)["you"]}
            for each in (one, two):
                await each.until(lambda each=each: room(each)["handover"] == mine)
            status, told = await hand_over(http, url, two, "confirm")
            assert (status, told["error"]["what"]) == (409, "The other one has to confirm it.")
            assert (await hand_over(http, url, one, "confirm"))[0] == 204
            await one.until(lambda: room(one)["floor"] == "another")
            await two.until(lambda: room(two)["floor"] == "you")
            counts = [each["room"]["sequence"] for each in two.got.stats]
            assert counts == sorted(counts)
            await go(one)
            await go(two)

    asyncio.run(test())


TURNS = 4


async def take_turns(http: Any, url: str, pair: dict[str, Visitor]) -> None:
    """The one who waits asks, the one on air confirms."""
    on_air, waits = sorted(pair.values(), key=lambda each: room(each)["floor"] != "you")
    for _ in range(TURNS):
        assert (await hand_over(http, url, waits, "propose"))[0] == 204
        assert (await hand_over(http, url, on_air, "confirm"))[0] == 204
        on_air, waits = waits, on_air
        await on_air.until(lambda on_air=on_air: room(on_air).get("floor") == "you")
        await asyncio.sleep(2.5)  # until viewers have heard of it


def line_of(viewer: Visitor) -> np.ndarray:
    """What was heard, by its time stamps: (n,), from -1 to 1. What never came is silence, and counts as a gap."""
    blocks = [(round(pts * RATE), samples) for _, pts, samples in viewer.got.sounds]
    first, last = blocks[0][0], max(at + len(samples) for at, samples in blocks)
    line = np.zeros(last - first)
    for at, samples in blocks:
        line[at - first : at - first + len(samples)] = samples / 32_768
    return line


def handovers(line: np.ndarray) -> tuple[list[int], int]:
    """(ms of silence at each change of who is heard, 5 ms in which both are).

    Of two tones that meet within one window each has less than half: both are heard where the sum is more than one.
    """
    loud = shares(line)
    level = max(float(np.median(each[each > 0.5 * each.max()])) for each in loud.values())
    heard = {id: each / level > 0.5 for id, each in loud.items()}
    both = int(np.count_nonzero((loud["a"] + loud["b"]) / level > 1.5))
    who = np.where(heard["a"], 1, 0) + np.where(heard["b"], 2, 0)
    at = np.flatnonzero(who)
    changes = np.flatnonzero(np.diff(who[at]))
    return [5 * int(at[each + 1] - at[each] - 1) for each in changes], both


@pytest.mark.long
def test_viewers_hear_no_gap_and_never_both_over_real_connections() -> None:
    """Two peers that say a tone without a pause take turns; what a viewer's peer gets is looked through."""

    async def test() -> None:
        async with serving(max_sessions=1, max_channels=1, max_interpreters=2) as (_, http, url):
            sender = Visitor(http, url, height=120, fps=5)
            hall: dict[str, Any] = {"room": "hall", "engine": "passthrough", "budget_ms": ROOMY_MS}
            await sender.connect(**hall, languages=["es"])
            pair = {id: Visitor(http, url, voice=ToneTrack(hertz), kinds=("audio",)) for id, hertz in TONES.items()}
            for each in pair.values():
                await each.connect(role="interpreter", room="hall", channel="es")
            viewer = Visitor(http, url, sends=False, kinds=("audio",))
            await viewer.connect(role="viewer", room="hall", channel="es")
            await viewer.until(lambda: bool(viewer.got.stats) and room(viewer).get("dubbed") is True)
            for each in pair.values():
                await each.until(lambda each=each: any(p["heard"] for p in room(each).get("partners", ())))
            await viewer.until(lambda: any(np.abs(each[2]).max() > 1500 for each in viewer.got.sounds))
            await asyncio.sleep(2)
            viewer.got.sounds.clear()
            await take_turns(http, url, pair)
            gaps, both = handovers(line_of(viewer))
            print(f"gaps of {gaps} ms, {both * 5} ms of both")
            assert len(gaps) == TURNS
            assert max(gaps) <= GAP_MS
            assert both == 0
            for each in (viewer, *pair.values(), sender):
                await each.close()

    asyncio.run(test())
