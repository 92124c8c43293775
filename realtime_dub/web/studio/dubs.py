"""The dubbed pictures of a room's channels, beside the sender's own: a pipeline for each channel that has a voice.

The sender's session has them: they dub its picture, with what it has chosen and what is known of the person. What they
give goes to the room, where those who watch that channel are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from realtime_dub.media import Samples
from realtime_dub.mouth.silence import for_voice
from realtime_dub.pipeline.precedence import Place
from realtime_dub.web.config import SessionOptions
from realtime_dub.web.limits import DUB_AGAIN_S, DUB_KEPT_S
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio.run import Run
from realtime_dub.web.studio.run_switcher import RunSwitcher

# What needs another pipeline.
BUILT_WITH = ("engine", "look_ahead_ms", "budget_ms", "face", "background", "side", "head")
Ended = Callable[[Run], None]
MakeRun = Callable[[str, OutputTimeline, Place, Ended], tuple[int, Run]]


@dataclass(eq=False)
class Dub:
    """Of one channel."""

    channel: str
    timeline: OutputTimeline
    place: Place
    runs: RunSwitcher = field(init=False)
    unwanted_s: float | None = None  # since when nobody interprets it

    def hear(self, samples: Samples, captured_ns: int) -> None:
        """What the person says, for below the dub."""
        if (pts_ns := self._shown_at(captured_ns)) is not None:
            self.timeline.below.hear(samples, pts_ns)

    def speak(self, samples: Samples, captured_ns: int) -> None:
        """What the interpreter says, as soon as it comes."""
        if (pts_ns := self._shown_at(captured_ns)) is not None:
            self.timeline.below.speak(samples, pts_ns)

    def _shown_at(self, captured_ns: int) -> int | None:
        run = self.runs.present
        if run is None or not run.recorder.budget_ns or self.timeline.origin_ns is None:
            return None
        return captured_ns + run.recorder.budget_ns - self.timeline.origin_ns


class Dubs:
    """Of one sender. On the server's loop.

    ``admit`` says of a channel why the machine cannot hold one more, or None; ``took_over`` is told of a channel whose
    first frame has come.
    """

    def __init__(
        self,
        timeline: Callable[[str], OutputTimeline],
        make: MakeRun,
        take_place: Callable[[], Place],
        admit: Callable[[], str | None],
        note: Callable[[str], None],
        took_over: Callable[[], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._timeline, self._make, self._take_place, self._admit = timeline, make, take_place, admit
        self._note, self._took_over, self._now_s = note, took_over, now_s
        self._dubs: dict[str, Dub] = {}
        self._refused: dict[str, tuple[str, float]] = {}  # why, until when it is not tried again
        self._ending: set[Dub] = set()
        self.closed = False

    @property
    def all(self) -> tuple[Dub, ...]:
        return tuple(self._dubs.values())

    @property
    def count(self) -> int:
        """Pipelines, with those that are about to end."""
        return len(self._dubs) + len(self._ending)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The counts of each channel's pipeline, for its sender's page."""
        found = {dub.channel: dub.runs.present for dub in self.all}
        reports = {channel: run.recorder.report() for channel, run in found.items() if run is not None}
        return {
            channel: {"frames": each.frames, "budget_ms": each.budget_ms, "latency_ms": each.latency_ms["p50"],
                      "av_offset_ms": each.av_offset_ms["mean"]}
            for channel, each in reports.items()
        }  # fmt: skip

    def of(self, channel: str) -> Dub | None:
        return self._dubs.get(channel)

    def refused(self, channel: str) -> str | None:
        """Why a channel that has a voice has no picture of its own, where the machine is too small."""
        found = self._refused.get(channel)
        return found and found[0]

    def follow(self, voiced: Iterable[str]) -> list[Dub]:
        """Those of the channels that are interpreted now, and those that were a moment ago; the others are given back,
        to be closed.
        """
        wanted, now_s = dict.fromkeys(() if self.closed else voiced), self._now_s()
        self._refused = {name: each for name, each in self._refused.items() if name in wanted}
        for dub in self.all:
            dub.unwanted_s = None if dub.channel in wanted else dub.unwanted_s or now_s
        for channel in wanted:
            if channel not in self._dubs:
                self._try(channel, now_s)
        over = [dub for dub in self.all if dub.unwanted_s is not None and now_s - dub.unwanted_s >= DUB_KEPT_S]
        return self._give_up(over)

    def chosen(self, before: SessionOptions, after: SessionOptions) -> None:
        """The sender has chosen something else."""
        for dub in self.all:
            for run in dub.runs.newest_first:
                run.set_strength(after.strength)
                run.set_silence(for_voice(after.silence, True))
            if any(getattr(before, name) != getattr(after, name) for name in BUILT_WITH):
                dub.runs.begin()

    def give_up_all(self) -> list[Dub]:
        """For ever; also those whose end was begun."""
        self.closed = True
        self._give_up(list(self.all))
        return list(self._ending)

    async def close(self, dubs: Iterable[Dub]) -> int:
        """What ``follow`` and ``give_up_all`` gave back; how many threads did not end in time."""
        stuck = 0
        for dub in dict.fromkeys(dubs):
            stuck += await dub.runs.close()
            dub.place.leave()
            self._ending.discard(dub)
        return stuck

    def _give_up(self, dubs: list[Dub]) -> list[Dub]:
        for dub in dubs:
            dub.runs.refuse()
            del self._dubs[dub.channel]
            self._ending.add(dub)
        return dubs

    def _try(self, channel: str, now_s: float) -> None:
        _, until_s = self._refused.get(channel, ("", 0.0))
        if now_s < until_s:
            return
        if (why := self._admit()) is not None:
            self._refused[channel] = why, now_s + DUB_AGAIN_S
            return
        self._refused.pop(channel, None)
        self._dubs[channel] = dub = Dub(channel, self._timeline(channel), self._take_place())
        dub.runs = RunSwitcher(lambda ended: self._make(channel, dub.timeline, dub.place, ended), self._note)
        dub.timeline.taken_over = lambda number: self._taken_over(dub, number)
        dub.runs.begin()

    def _taken_over(self, dub: Dub, number: int) -> None:
        dub.runs.take_over(number)
        self._took_over()
