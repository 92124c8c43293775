"""Counting, percentiles, memory that does not grow, the report's names."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from realtime_dub.losses import GapCount, Lost
from realtime_dub.media import MS, NS, AudioBlock
from realtime_dub.mouth.contract import OwnVoiceLearnt
from realtime_dub.pipeline.measures import Histogram, rss_mb
from realtime_dub.pipeline.statistics import Recorder

pytestmark = pytest.mark.computes


@given(st.lists(st.integers(1_000, 10**12), min_size=1, max_size=300), st.sampled_from([50, 95, 99]))
def test_percentiles_are_nearest_rank_within_half_a_percent(values: list[int], percent: int) -> None:
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    exact = sorted(values)[max(1, -(-len(values) * percent // 100)) - 1] / MS
    got = histogram.percentile_ms(percent)
    assert exact * 0.999 - 0.001 <= got <= exact * 1.006 + 0.001
    assert got <= histogram.max_ns / MS + 0.001


def test_an_empty_histogram_and_values_out_of_range() -> None:
    histogram = Histogram()
    assert histogram.summary(with_max=True) == {"p50": 0, "p95": 0, "p99": 0, "max": 0}
    for value in (-5, 0, 1, 10**30):
        histogram.add(value)
    assert histogram.count == 4
    assert histogram.max_ns == 10**30


def filled(ticks: int) -> Recorder:
    recorder = Recorder(160 * MS, "engine", "bundle 1")
    rng = np.random.default_rng(1)
    for k in range(ticks):
        recorder.handed_over("fresh", int(rng.integers(100, 155) * MS))
        recorder.stage("engine", int(rng.integers(1, 20) * MS))
        recorder.compute(15 * MS)
        recorder.offset((-1) ** k * 3 * MS)
        recorder.note(f"note {k}")
    return recorder


def test_report_has_exactly_the_agreed_names() -> None:
    recorder = filled(10)
    recorder.handed_over("reused", 170 * MS, lagged=True)
    recorder.handed_over("passthrough", 120 * MS)
    recorder.skipped(2)
    report = recorder.report()
    got = json.loads(report.to_json())
    assert list(got) == [
        "budget_ms", "frames", "losses", "latency_ms", "stages_ms", "compute_ms", "av_offset_ms", "rss_mb", "engine",
        "bundle", "backend", "camera", "silence", "badge", "own_voice", "rungs_s",
    ]  # fmt: skip
    assert got["frames"] == {"total": 12, "fresh": 10, "reused": 1, "passthrough": 1, "lagged": 1, "skipped": 2}
    assert got["losses"] == {"gaps": 0, "drops": 0, "overflows": 0, "slips": 0, "packets": 0, "devices": 0}
    assert set(got["latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert got["latency_ms"]["max"] < 160  # a lagged tick has no new picture
    assert set(got["stages_ms"]["engine"]) == set(got["compute_ms"]) == {"p50", "p95", "p99"}
    assert got["av_offset_ms"] == {"mean": 0.0, "max": 3.0}
    assert set(got["rss_mb"]) == {"start", "end"}
    assert got["budget_ms"] == 160


def test_half_an_hour_needs_no_more_memory_than_a_minute() -> None:
    recorder = filled(1_500)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for k in range(10_000):
        recorder.handed_over("fresh", k * 1_000)
        recorder.stage("engine", k * 1_000)
        recorder.note(f"another {k}")
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000


def test_a_note_is_kept_once() -> None:
    recorder = Recorder()
    assert recorder.note("so it is")
    assert not recorder.note("so it is")
    assert recorder.report().notes == ("so it is",)


def test_the_line_shows_the_rate_and_the_budget() -> None:
    recorder = Recorder(100 * MS)
    recorder.line(NS)
    for _ in range(25):
        recorder.handed_over("fresh", 80 * MS)
        recorder.offset(2 * MS)
    line = recorder.line(2 * NS).plain
    assert "25.0 fps" in line
    assert "80%" in line
    assert "fresh 25" in line
    assert "+2.0 ms" in line
    assert "\n" not in line


def test_the_table() -> None:
    report = filled(10).report()
    console = Console(record=True, width=120)
    console.print(report.table())
    text = console.export_text()
    assert "capture to hand-over" in text
    assert "10 fresh" in text
    assert "note 0" in text


class Leaky:
    def lost(self) -> Lost:
        return Lost(gaps=2, slips=1)


def test_what_the_parts_have_lost_is_added_up_and_told_where_there_is_any() -> None:
    recorder = filled(10)
    assert "lost" not in str(recorder.report().table().caption)
    recorder.collect(Leaky(), object(), Leaky())
    report = recorder.report()
    assert json.loads(report.to_json())["losses"] == {
        "gaps": 4, "drops": 0, "overflows": 0, "slips": 2, "packets": 0, "devices": 0,
    }  # fmt: skip
    assert "lost: 4 gaps, 2 slips" in str(report.table().caption)


@pytest.mark.parametrize(
    ("late_ms", "said"),
    [
        (None, "learnt of your own voice: 80 frames\n"), (0.0, "learnt of your own voice: 80 frames\n"),
        (95.4, "80 frames; the picture comes 95 ms behind it\n"),
        (-120.0, "80 frames; it comes 120 ms behind the picture\n"),
    ],
)  # fmt: skip
def test_how_late_the_picture_comes_is_told(late_ms: float | None, said: str) -> None:
    report = replace(filled(10).report(), own_voice=OwnVoiceLearnt(0, 80, late_ms=late_ms))
    assert said in str(report.table().caption)
    assert json.loads(report.to_json())["own_voice"] == {"heard_s": 0, "frames": 80, "tuned": 0, "late_ms": late_ms}


def test_a_gap_is_counted_once_and_silence_before_the_first_word_is_none() -> None:
    count = GapCount()
    for at, gap in enumerate((True, True, False, True, True, False, False, True)):
        count.hear(AudioBlock(np.zeros((10, 1), np.float32), 1_000, at * 10 * MS, gap))
    assert count.gaps == 2
    for at in (80, 90, 150):
        count.hear(AudioBlock(np.zeros((10, 1), np.float32), 1_000, at * MS))
    assert count.gaps == 3


def test_memory_is_measured() -> None:
    assert 5 < rss_mb() < 100_000
