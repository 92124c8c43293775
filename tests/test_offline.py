"""The file loop: times, durations, padding, errors. Picture and sound are scripted; the stages and threads are real."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import offline_helpers
import pytest
from live_helpers import PuppetGenerator, sound
from offline_helpers import RATE, Script, samples
from patience import PATIENCE_S

from realtime_dub import cli
from realtime_dub.config import FileConfig, build
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, Frame, Tick
from realtime_dub.mouth import registry
from realtime_dub.mouth.engine import Engine
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.run import Progress, run_file
from realtime_dub.pipeline.file.stages import BoundedWriter, PrefetchStage
from realtime_dub.pipeline.statistics import Report

pytestmark = pytest.mark.computes

GENERATORS: list[PuppetGenerator] = []


ENGINE = Engine("puppet", "a puppet", f"{__name__}:make_puppet", frozenset(registry.OPTIONS), identity="nowhere:at_all")


def make_puppet(**_: object) -> PuppetGenerator:
    GENERATORS.append(PuppetGenerator())
    return GENERATORS[-1]


@pytest.fixture
def dub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., Report]]:
    """``dub(script, **config)`` runs a file; no thread may be left."""
    offline_helpers.stand_in(monkeypatch)
    monkeypatch.setitem(registry.ENGINES, "puppet", f"{__name__}:ENGINE")
    before = threading.active_count()

    def run(script: Script, progress: Progress | None = None, **config: object) -> Report:
        monkeypatch.setattr(offline_helpers, "SCRIPT", script)
        given = {"input": "a", "output": tmp_path / "o.mp4", "engine": "puppet"} | config
        return run_file(build(FileConfig, **given), progress)

    yield run
    GENERATORS.clear()
    assert threading.active_count() == before


def test_one_tick_per_frame_at_its_own_time(dub: Callable[..., Report]) -> None:
    script = Script(pts=[0, 33, 70, 71, 150, 900, 1000], last_ms=50)
    report = dub(script)
    assert [tick.pts_ns // MS for tick in script.published] == script.pts
    assert [tick.duration_ns // MS for tick in script.published] == [33, 37, 1, 79, 750, 100, 50]
    assert [tick.seq for tick in script.published] == list(range(7))
    assert report.frames["fresh"] == report.frames["total"] == 7
    assert np.array_equal(samples(), sound(0, round(1.05 * RATE))[:, 0])
    for tick in script.published:
        assert abs(tick.audio.pts_ns - tick.pts_ns) <= NS / RATE


def test_a_later_first_frame_begins_the_result(dub: Callable[..., Report]) -> None:
    script = Script(pts=[80 + 40 * k for k in range(25)])
    dub(script)
    assert script.published[0].pts_ns == 0
    assert np.array_equal(samples(), sound(round(0.08 * RATE), RATE)[:, 0])


def test_later_sound_keeps_its_offset(dub: Callable[..., Report]) -> None:
    script = Script(voice_start_ns=500 * MS)
    dub(script)
    got = samples()
    assert not got[: RATE // 2].any()
    assert np.array_equal(got[RATE // 2 :], sound(0, len(got) - RATE // 2)[:, 0])


def test_shorter_voice_is_padded_and_said(dub: Callable[..., Report]) -> None:
    script = Script(voice_samples=RATE)
    report = dub(script)
    assert len(samples()) == 2 * RATE
    assert not samples()[RATE:].any()
    assert any("1.0 s before the picture" in note for note in report.notes)


def test_longer_voice_is_cut_and_said(dub: Callable[..., Report]) -> None:
    script = Script(voice_samples=3 * RATE)
    report = dub(script)
    assert len(script.published) == 50
    assert len(samples()) == 2 * RATE
    assert any("--extend" in note for note in report.notes)


@pytest.mark.parametrize("more", [1024, RATE // 10])
def test_what_a_codec_adds_to_the_last_block_is_no_longer_voice(dub: Callable[..., Report], more: int) -> None:
    report = dub(Script(voice_samples=2 * RATE + more))
    assert len(samples()) == 2 * RATE
    assert not any("--extend" in note for note in report.notes)


def test_extend_holds_the_last_frame_until_the_voice_ends(dub: Callable[..., Report]) -> None:
    script = Script(voice_samples=round(2.5 * RATE) + 100)
    dub(script, extend=True)
    assert len(script.published) == 50 + 13
    assert {int(tick.image[0, 0, 0]) for tick in script.published[49:]} == {49}
    assert np.array_equal(samples()[: script.voice_samples], sound(0, script.voice_samples)[:, 0])
    assert not samples()[script.voice_samples :].any()
    last = script.published[-1]
    assert last.pts_ns + last.duration_ns == 2520 * MS


@pytest.mark.parametrize("kind", ["image", "demo"])
def test_a_still_lasts_as_long_as_the_voice(dub: Callable[..., Report], kind: str) -> None:
    script = Script(kind=kind, voice_samples=RATE)
    dub(script)
    assert len(script.published) == 25
    assert len(samples()) == RATE
    assert GENERATORS[0].observed == 0


def test_enrolment_shows_at_most_150_pictures_of_20_seconds(dub: Callable[..., Report]) -> None:
    dub(Script(pts=[40 * k for k in range(600)]))
    assert 100 <= GENERATORS[0].observed <= 150
    dub(Script(), identity=Path("me.bank"))
    assert GENERATORS[1].observed == 0


def test_a_short_file_is_shown_whole(dub: Callable[..., Report]) -> None:
    dub(Script(pts=[40 * k for k in range(75)], duration_ns=3000 * MS))
    assert GENERATORS[0].observed == 75


def test_mouths_are_proved_once_after_everything_was_shown(dub: Callable[..., Report]) -> None:
    dub(Script(pts=[40 * k for k in range(75)], duration_ns=3000 * MS))
    [(observed, pictures)] = GENERATORS[0].calibrated
    assert observed == 75
    assert 4 <= len(pictures) <= 6
    assert max(np.diff(pictures)) < 30
    dub(Script(), identity=Path("me.bank"))
    assert GENERATORS[1].calibrated == []


def test_seconds_ends_it(dub: Callable[..., Report]) -> None:
    script = Script()
    dub(script, seconds=1)
    assert len(script.published) == 25


def test_two_runs_are_the_same(dub: Callable[..., Report]) -> None:
    runs = [Script(voice_samples=round(1.7 * RATE)) for _ in range(2)]
    for script in runs:
        dub(script)
    one, two = ([(t.pts_ns, t.image.tobytes(), t.audio.samples.tobytes()) for t in s.published] for s in runs)
    assert one == two


def test_no_face_anywhere_passes_through_and_is_said(dub: Callable[..., Report]) -> None:
    report = dub(Script(faces=False))
    assert report.frames["passthrough"] == 50
    assert any("no face" in note for note in report.notes)
    assert "a note of the source" in report.notes


def test_what_was_made_before_a_damage_is_closed_and_kept(dub: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(MediaError):
        dub(Script(damage_at=30), engine="passthrough")
    assert len(offline_helpers.SCRIPT.published) >= 20
    assert offline_helpers.SCRIPT.closed >= 1
    assert (tmp_path / "o.mp4").exists()


def test_an_output_that_fails_is_in_the_report(dub: Callable[..., Report], tmp_path: Path) -> None:
    report = dub(Script(break_at=20), engine="passthrough", stats_json=tmp_path / "s.json")
    assert report.lost == ("cannot write script: no space; its first 0.8 s are kept",)
    assert 20 <= len(offline_helpers.SCRIPT.published) < 40
    assert offline_helpers.SCRIPT.closed >= 1
    assert (tmp_path / "s.json").exists()


def test_a_tracker_is_not_closed_while_it_tracks(dub: Callable[..., Report], monkeypatch: pytest.MonkeyPatch) -> None:
    """The slowest stage, so that it is at work when the output fails."""
    late: list[bool] = []
    closed = threading.Event()

    class Slow(offline_helpers.ScriptTracker):
        def track(self, frame: Frame) -> TrackedFrame:
            time.sleep(0.01)
            late.append(closed.is_set())
            return super().track(frame)

        def close(self) -> None:
            closed.set()

    monkeypatch.setattr(assembly, "make_tracker", Slow)
    assert dub(Script(pts=[40 * k for k in range(400)], break_at=3), engine="passthrough").lost
    assert closed.is_set()
    assert late
    assert not any(late)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)], ids=["INT", "TERM", "HUP"]
)
def test_who_asks_to_end_and_asks_again_gets_the_file_finished(
    dub: Callable[..., Report], tmp_path: Path, number: signal.Signals, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    dub(Script())  # sets the parts
    offline_helpers.SCRIPT = script = Script()
    take, before = offline_helpers.ScriptPublisher.publish, signal.getsignal(number)

    def publish(self: object, tick: Tick) -> None:
        take(self, tick)
        if tick.seq >= 20:
            os.kill(os.getpid(), number)
            time.sleep(0.1)

    monkeypatch.setattr(offline_helpers.ScriptPublisher, "publish", publish)
    assert cli.run(["file", "a", "-o", str(tmp_path / "c.mp4"), "--engine", "puppet", "-q"]) == code
    assert 22 <= len(script.published) < 50
    assert script.closed == 1
    assert signal.getsignal(number) is before


def test_an_older_output_survives_a_run_that_never_began(dub: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "o.mp4").write_bytes(b"mine")
    with pytest.raises(MediaError):
        dub(Script(pts=[]))
    assert (tmp_path / "o.mp4").read_bytes() == b"mine"


def test_live_inputs_and_the_input_itself_are_refused(dub: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--webcam"):
        dub(Script(kind="webcam"))
    (tmp_path / "a.mp4").write_bytes(b"mine")
    with pytest.raises(ConfigError, match="cannot overwrite an input file"):
        dub(Script(), input=str(tmp_path / "a.mp4"), output=tmp_path / "a.mp4")


class Forgetful(list):
    def append(self, item: object) -> None:
        """What was published is not kept."""


def test_a_long_film_needs_no_more_memory_than_a_short_one(dub: Callable[..., Report]) -> None:
    seconds, held = 30, dict[int, int]()

    def look(done: int, total: int | None) -> None:
        if done in (250, 25 * seconds):
            gc.collect()
            held[done] = tracemalloc.get_traced_memory()[0]

    script = Script(pts=[40 * k for k in range(25 * seconds)], voice_samples=seconds * RATE, published=Forgetful())
    dub(Script())  # what is loaded with the first film stays
    tracemalloc.start()
    try:
        dub(script, look, engine="passthrough")
    finally:
        tracemalloc.stop()
    early, late = held.values()
    assert late - early < 100_000, "a byte kept of each sample, or two hundred of each frame, would be more"


def test_progress_counts_to_the_total(dub: Callable[..., Report], tmp_path: Path) -> None:
    script, seen = Script(), []
    dub(script)  # sets the script
    config = build(FileConfig, input="a", output=tmp_path / "o.mp4", engine="puppet")
    offline_helpers.SCRIPT = replace(script, published=[])
    run_file(config, lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, 50) for k in range(50)]


def test_progress_knows_how_many_frames_were_asked_for(dub: Callable[..., Report], tmp_path: Path) -> None:
    dub(Script())
    totals = set[int | None]()
    for seconds, expected in ((0.4, 10), (60, 50)):
        config = build(FileConfig, input="a", output=tmp_path / "o.mp4", engine="puppet", seconds=seconds)
        offline_helpers.SCRIPT = Script()
        run_file(config, lambda done, total: totals.add(total))
        assert totals == {expected}
        totals.clear()


def test_ctrl_c_keeps_what_was_made(dub: Callable[..., Report], tmp_path: Path) -> None:
    dub(Script())
    config = build(FileConfig, input="a", output=tmp_path / "c.mp4", engine="puppet")
    offline_helpers.SCRIPT = script = Script()

    def interrupt(done: int, total: int | None) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_file(config, interrupt)
    assert len(script.published) == 20
    assert script.closed == 1
    assert (tmp_path / "c.mp4").exists()


def test_a_stage_ahead_keeps_order_and_raises_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield from range(20)
        raise MediaError("broken")

    stage, got = PrefetchStage("numbers", items(), depth=3), []
    with pytest.raises(MediaError):
        got.extend(iter(stage))
    stage.stop()
    stage.join()
    assert got == list(range(20))


@pytest.mark.parametrize("depth", [1, 3, 6, 20])
def test_a_stage_is_no_farther_ahead_than_it_may_be_and_never_stops(depth: int) -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    stage = PrefetchStage("numbers", items(), depth)
    for number in stage:
        assert len(made) - number - 1 <= depth + 1  # what waits, and what is in hand
    stage.join()
    assert len(made) == 100


def test_a_writer_lets_nobody_get_far_ahead_of_it() -> None:
    """Whatever a film's length, so many ticks and no more wait to be encoded."""
    opened, taken = threading.Event(), []

    def take(item: int) -> None:
        opened.wait(PATIENCE_S)
        taken.append(item)

    writer: BoundedWriter[int] = BoundedWriter("slow", take, depth=3)
    given: list[int] = []

    def give() -> None:
        for item in range(10):
            writer.put(item)
            given.append(item)
        writer.finish(lambda: None)

    giver = threading.Thread(target=give)
    giver.start()
    try:
        giver.join(0.1)
        assert len(given) <= 3
    finally:
        opened.set()
        giver.join(PATIENCE_S)
        writer.close()
    assert taken == given == list(range(10))
