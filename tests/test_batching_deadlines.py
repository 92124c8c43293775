"""Two sessions whose networks run as one call: each keeps its deadlines, and waiting for the other is no slowness."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from live_helpers import (
    RATE,
    START_NS,
    EveryThird,
    ListRecorder,
    PaintCompositor,
    PuppetGenerator,
    RecordingOutput,
    ScriptedInputs,
    VirtualExecutor,
    plan,
)

from realtime_dub.clock import VirtualClock
from realtime_dub.inference.batching import WAIT_MS
from realtime_dub.media import MS, NS, VoiceInfo
from realtime_dub.pipeline.live.executor import Done
from realtime_dub.pipeline.live.loop import LiveParts, LivePipeline
from realtime_dub.pipeline.schedule import Level
from realtime_dub.pipeline.timing import Timing

pytestmark = pytest.mark.computes

WAIT_NS = round(WAIT_MS * MS)
SESSIONS = 2


@dataclass
class OneNetwork:
    """In virtual time what ``BatchingSession`` does: the first waits a moment for the other, then runs for both."""

    clock: VirtualClock
    call_ns: int  # however many streams it has
    calls: int = 0
    streams: int = 0
    full: asyncio.Event | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        if self.full is not None:  # one is waiting
            self.streams += 1
            self.full.set()
            await self.done.wait()
            return
        self.full, self.done = asyncio.Event(), asyncio.Event()
        self.streams += 1
        full, done = self.full, self.done
        waiting = {asyncio.ensure_future(full.wait()), asyncio.ensure_future(self._moment())}
        _, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in left:
            each.cancel()
        self.full, self.calls = None, self.calls + 1
        await self.clock.sleep_until(self.clock.now_ns() + self.call_ns)
        done.set()

    async def _moment(self) -> None:
        await self.clock.sleep_until(self.clock.now_ns() + WAIT_NS)


@dataclass
class SharingExecutor:
    """A session's engine: the network, with the other's, and then ``draw_ns`` of its own."""

    clock: VirtualClock
    network: OneNetwork
    draw_ns: int
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, job: Callable[[], Any], until_ns: int | None = None) -> Done[Any]:
        async with self.lock:
            result = job()
            await self.network.run()
            await self.clock.sleep_until(self.clock.now_ns() + self.draw_ns)
            return Done(result, self.network.call_ns + self.draw_ns)  # without the waiting, as ThreadExecutor has it

    def close(self) -> None:
        pass


def session(clock: VirtualClock, network: OneNetwork, draw_ns: int, first_ns: int) -> tuple[LivePipeline, ListRecorder]:
    generator, recorder = PuppetGenerator(), ListRecorder(budget_ns=160 * MS)
    recorder.watch(clock)
    parts = LiveParts(
        ScriptedInputs(clock, first_ns=first_ns),
        [RecordingOutput(clock)],
        generator,
        PaintCompositor(),
        SharingExecutor(clock, network, draw_ns),
        VirtualExecutor(clock, lambda now_ns: 4 * MS),
        resampler=lambda rate: EveryThird(),
    )
    timing = Timing(Fraction(25), plan())
    return LivePipeline(clock, parts, VoiceInfo(RATE, 1, True, "script", 10 * MS), timing, recorder), recorder


async def run_together(seconds: float, apart_ns: int, call_ns: int, draw_ns: int) -> tuple[OneNetwork, list[Any]]:
    """Sessions whose frames are so far apart, with one network between them."""
    clock = VirtualClock(START_NS)
    network = OneNetwork(clock, call_ns)
    made = [session(clock, network, draw_ns, 3 * MS + at * apart_ns) for at in range(SESSIONS)]
    tasks = [asyncio.create_task(pipeline.run()) for pipeline, _ in made]
    await clock.run_until(START_NS + int(seconds * NS))
    for pipeline, _ in made:
        pipeline.stop()
    await clock.run_until(clock.now_ns() + NS)
    await asyncio.gather(*tasks)
    return network, made


@pytest.mark.parametrize("apart_ms", [0, 1, 13])
def test_each_of_two_sessions_keeps_its_deadlines(apart_ms: int) -> None:
    network, made = asyncio.run(run_together(5, apart_ms * MS, call_ns=5 * MS, draw_ns=10 * MS))
    for pipeline, recorder in made:
        frames = recorder.report().frames
        assert frames["fresh"] == frames["total"] > 100
        assert max(age for _, _, age, _ in recorder.kinds) <= 160 * MS
        assert pipeline.mouths.policy.level is Level.FULL
        assert pipeline.mouths.haste_ns == 0
        assert recorder.report().stages_ms["engine"]["p95"] == pytest.approx(15, abs=1)  # without the waiting
    together = network.streams - network.calls
    assert together > 100 if apart_ms <= WAIT_MS else together < 10
