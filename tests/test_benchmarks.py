"""What the benchmarks make of what they saw, on runs whose answers are known."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks.output import Stopwatch, last_line
from benchmarks.overload import Left, longest_freeze_ns, recovery_ns
from realtime_dub.media import MS, NS
from realtime_dub.stats import Kind

PERIOD_NS = 40 * MS


def ticks(kinds: str, captures: list[int] | None = None) -> list[Left]:
    """One tick per letter (f fresh, r reused, p passthrough), 25 a second, of the frames ``captures``."""
    names: dict[str, Kind] = {"f": "fresh", "r": "reused", "p": "passthrough"}
    shown = captures if captures is not None else list(range(len(kinds)))
    return [
        Left(k * PERIOD_NS, names[kind], (k - frame) * PERIOD_NS, False)
        for k, (kind, frame) in enumerate(zip(kinds, shown, strict=True))
    ]


def test_recovery_begins_with_the_steady_row() -> None:
    assert recovery_ns(ticks("rrrf" + "r" + "f" * 30), 0) == 5 * PERIOD_NS
    assert recovery_ns(ticks("f" * 30), 0) == 0


def test_too_short_a_row_is_no_recovery() -> None:
    assert math.isinf(recovery_ns(ticks("rp" + "f" * 20), 0))
    assert math.isinf(recovery_ns([], 0))


def test_the_longest_freeze_is_found() -> None:
    assert longest_freeze_ns(ticks("ffffffff", [0, 1, 2, 2, 2, 2, 6, 7])) == 3 * PERIOD_NS
    assert longest_freeze_ns(ticks("ffff")) == 0
    assert longest_freeze_ns([]) == 0


def test_a_stopwatch_keeps_the_order_of_first_use() -> None:
    watch = Stopwatch()
    for name in ("track", "compose", "track"):
        with watch(name):
            pass
    summary = watch.summary()
    assert list(summary) == ["track", "compose"]
    assert summary["track"]["n"] == 2
    assert 0 <= summary["track"]["p50"] <= summary["track"]["max"] < NS / MS


def test_the_last_line_is_json_whatever_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    last_line({"a": 1.23456, "b": float("nan"), "c": {"d": float("inf"), "e": 3}})
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"a": 1.2346, "b": None, "c": {"d": None, "e": 3}}
