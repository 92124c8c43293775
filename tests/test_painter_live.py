"""Painters at work: few mouths but on time where a network is slow, and a film by the command."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import painters
import pytest
from faces import tracked_portrait
from live_helpers import RATE as RATE_IN
from live_helpers import (
    START_NS,
    ListRecorder,
    PaintCompositor,
    RecordingOutput,
    Run,
    ScriptedInputs,
    VirtualExecutor,
)

from realtime_dub.clock import VirtualClock
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import Bundle, load
from realtime_dub.media import MS, NS, VoiceInfo
from realtime_dub.mouth.painter import generator as generator_module
from realtime_dub.mouth.painter import network
from realtime_dub.mouth.painter.generator import PainterGenerator, wav2lip
from realtime_dub.mouth.painter.pace import Between, Pace, Painted
from realtime_dub.pipeline.live.loop import LiveParts, LivePipeline
from realtime_dub.pipeline.schedule import Level, TrackedSample
from realtime_dub.pipeline.timing import LiveSettings, Timing

PERIOD = 40 * MS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.write_bundle(tmp_path_factory.mktemp("painter") / "bundle", painters.reference_net())


# A network that takes longer than a frame lasts.


def test_between_two_painted_mouths_it_is_on_time() -> None:
    pace, between = Pace(43 * MS), Between()
    assert pace.lead_ns == 40 * MS
    pace.short = True
    shown, painted = [], 0
    for at in range(50):
        at_ns = at * PERIOD
        if pace.wants(at_ns):
            instant = pace.instant(at_ns)
            between.add(Painted(np.full((2, 2, 3), instant // MS // 20, np.uint8), instant, 0))
            painted += 1
        image = between.at(at_ns, 0)
        assert image is not None
        shown.append(int(image[0, 0, 0]) * 20 * MS - at_ns)
    assert painted == 25
    assert max(map(abs, shown[2:])) <= 10 * MS  # what is shown is of the instant that is spoken
    assert between.at(50 * PERIOD, 1) is None  # nothing is carried into another shot
    assert between.at(90 * PERIOD, 0) is None


@pytest.mark.parametrize(("took_ms", "every"), [(8, 1), (28, 1), (43, 2), (70, 3), (120, 4)])
def test_it_is_painted_as_often_as_there_is_time(took_ms: int, every: int) -> None:
    pace = Pace(took_ms * MS)
    pace.short = True
    wanted = [at for at in range(41) if pace.wants(at * PERIOD)]
    assert np.diff(wanted[1:]).tolist() == [every] * (len(wanted) - 2)
    pace.short = False
    assert pace.wants(41 * PERIOD)
    assert pace.wants(42 * PERIOD)
    assert pace.instant(42 * PERIOD) == 42 * PERIOD


class Stopwatch:
    """In place of ``time``: goes on while the network is at work, and else stands still."""

    def __init__(self) -> None:
        self.ns = 0

    def perf_counter_ns(self) -> int:
        return self.ns


class Slow:
    """A session that takes 43 ms by the stopwatch."""

    def __init__(self, inner: Any, watch: Stopwatch) -> None:
        self._inner, self._watch, self.backend = inner, watch, inner.backend

    def run(self, feeds: Any) -> Any:
        self._watch.ns += 43 * MS
        return self._inner.run(feeds)


class Sitter(ScriptedInputs):
    """A camera before the portrait."""

    async def _camera(self, sink) -> None:
        found = tracked_portrait()
        for seq in range(self.frames):
            capture_ns = START_NS + 3 * MS + seq * PERIOD
            await self.clock.sleep_until(capture_ns + self.track_ns)
            image = found.frame.image.copy()
            image[0, 0] = seq % 251, seq // 251, 0
            frame = replace(found.frame, image=image, pts_ns=capture_ns, seq=seq)
            sink.on_frame(TrackedSample(replace(found, frame=frame), self.track_ns))


@pytest.mark.slow
def test_live_a_slow_network_keeps_the_budget_and_the_picture(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """43 ms a call, 25 frames a second, and an engine thread that is busy little more than half of the time."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made_here.write(load(folder).spec.sha256["network.onnx"])  # on a virtual clock nothing waits for a process
    watch, opened = Stopwatch(), Bundle.session
    for module in (network, generator_module):
        monkeypatch.setattr(module, "time", watch)
    monkeypatch.setattr(Bundle, "session", lambda *asked: Slow(opened(*asked), watch))
    generator = wav2lip(bundle=folder)
    before = [watch.ns]

    def cost_ns(now_ns: int) -> int:
        took_ns, before[0] = watch.ns - before[0], watch.ns
        return took_ns + 4 * MS

    tracked_portrait()  # looked for before the loop begins
    run = asyncio.run(_live(generator, cost_ns, seconds=12))
    frames, budget_ns = run.report.frames, run.pipeline._timing.plan.budget_ns
    late = [kind for at_ns, kind, _, _ in run.kinds if at_ns > NS]
    assert max(age for _, _, age, _ in run.kinds) <= budget_ns
    assert budget_ns < 450 * MS
    assert frames["lagged"] == frames["skipped"] == 0
    assert late.count("fresh") / (len(late) / 25) >= 12
    assert set(late) == {"fresh", "reused"}
    corners = [each.stamped.tick.image[0, 0].astype(int) for each in run.output.taken]
    assert set(np.diff([int(low + 251 * high) for low, high, _ in corners])) == {1}
    assert run.pipeline.mouths.policy.level is Level.FULL
    assert any("12 a second are painted" in note for note in generator.notes)


async def _live(generator: PainterGenerator, cost_ns: Callable[[int], int], seconds: float) -> Run:
    clock, info = VirtualClock(START_NS), VoiceInfo(RATE_IN, 1, True, "script", 10 * MS)
    timing = Timing.of(LiveSettings(Fraction(25)), info, generator)
    recorder = ListRecorder(budget_ns=timing.plan.budget_ns)
    recorder.runs(recorder.budget_ns, generator)
    kinds, output = recorder.watch(clock), RecordingOutput(clock)
    engine, composer = VirtualExecutor(clock, cost_ns), VirtualExecutor(clock, lambda now_ns: 4 * MS)
    parts = LiveParts(Sitter(clock), [output], generator, PaintCompositor(), engine, composer)
    pipeline = LivePipeline(clock, parts, info, timing, recorder)
    task = asyncio.create_task(pipeline.run())
    await clock.run_until(START_NS + round(seconds * NS))
    pipeline.stop()
    await clock.run_until(clock.now_ns() + NS)
    return Run(await task, output, kinds, generator, pipeline)  # type: ignore[arg-type]


# As it is used.


@pytest.mark.slow
def test_a_film_with_ones_own_network(tmp_path: Path) -> None:
    """The licence is said at the start; batches, pads and a first frame held change no length."""
    bundle = painters.write_bundle(tmp_path / "mine", painters.reference_net(gain=0.05))
    out, stats = tmp_path / "out.mp4", tmp_path / "stats.json"
    command = ["file", "demo", "--mic", "demo", "-o", out, "--seconds", 2, "--engine", "wav2lip", "--bundle", bundle]
    options = ["--batch", 4, "--pads", "0,15,0,0", "--static", "--stats-json", stats]
    done = program(*command, *options)
    assert done.returncode == 0, done.stderr
    assert "test-painter 1: CC0. made by a test" in done.stderr
    report = json.loads(stats.read_text())
    assert report["engine"] == "wav2lip"
    assert report["frames"]["total"] == report["frames"]["fresh"] == 50
    refused = program("file", "demo", "--mic", "demo", "-o", tmp_path / "b.mp4", "--batch", 4)
    assert refused.returncode == 2
    assert "engine mouthbank takes no --batch" in refused.stderr


def program(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "realtime_dub", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_server_gives_a_bundle_to_the_engine_that_it_is_for(folder: Path) -> None:
    pytest.importorskip("aiortc")
    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.studio.run import bundle_for

    config = ServeConfig(bundle=folder)
    assert bundle_for("wav2lip", config) == folder
    assert bundle_for("mouthbank", config) is None
    assert bundle_for("wav2lip", ServeConfig()) is None
