"""What the benchmarks make of what they saw, on runs whose answers are known."""

from __future__ import annotations

import json
import math
import socket

import pytest

from benchmarks.crowd import Source
from benchmarks.output import Stopwatch, last_line
from benchmarks.overload import Left, longest_freeze_ns, recovery_ns
from benchmarks.relay import Relay, without_candidates
from benchmarks.studio_page import NUMBERS, Watched, matched, matched_pictures, medians
from benchmarks.viewers import fitted, priced
from realtime_dub.media import MS, NS
from realtime_dub.pipeline.statistics import Kind

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
    assert 0 <= summary["track"]["cpu"] <= summary["track"]["cpu95"] < NS / MS


def test_the_last_line_is_json_whatever_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    last_line({"a": 1.23456, "b": float("nan"), "c": [{"d": float("inf"), "e": 3}]})
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"a": 1.2346, "b": None, "c": [{"d": None, "e": 3}]}


def test_a_mark_is_matched_with_the_last_one_sent() -> None:
    assert matched([0, 1000, 2000], [300, 1310, 2290, 9000]) == [(300, 300), (1310, 310), (2290, 290)]
    assert matched([], [300]) == []


def shown(late_ms: float, numbers: list[int]) -> list[tuple[float, float, float]]:
    """Pictures at 25 a second, by how many of them were before."""
    return [(number % NUMBERS, 40.0 * number + late_ms, count) for count, number in enumerate(numbers)]


def test_pictures_are_matched_by_number_through_all_rounds() -> None:
    sent, got = shown(0, list(range(100))), shown(300, [*range(60), *range(64, 90)])
    assert matched_pictures(sent, got) == [(at, 300) for _, at, _ in got[1:]]  # the first may have been there before
    assert matched_pictures(sent, [*got, (got[-1][0], got[-1][1] + 80, 99)])[-1][1] == 300  # shown longer


def test_what_a_page_saw_is_summed_up() -> None:
    got = shown(300, [*range(60), *range(64, 90)])
    seen = Watched(matched_pictures(shown(0, list(range(100))), got), [(1000.0, 320.0), (2000.0, 280.0)], got)
    assert seen.offsets_ms == [(1000, 20), (2000, -20)]
    assert seen.freeze_ms == 200
    assert seen.fps == pytest.approx(85 / 3.56)
    assert medians([(0, 1), (1, 3), (12, 7)], 10) == [2, 7]


def test_the_bad_network_passes_packets_both_ways_and_no_other_way_is_left() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as browser,
    ):
        for each in (server, browser):
            each.bind(("127.0.0.1", 0))
            each.settimeout(10)
        host, port = server.getsockname()
        answer = f"v=0\r\na=candidate:ab 1 udp 1 {host} {port} typ host\r\na=candidate:cd 1 udp 1 ::1 9 typ host\r\n"
        relay = Relay(loss=0, jitter_s=0.01)
        try:
            told = relay.redirect(answer)
            assert told.count("a=candidate") == 1
            browser.sendto(b"up", (host, int(told.split()[6])))
            data, way = server.recvfrom(100)
            server.sendto(b"down", way)
            assert (data, browser.recv(100)) == (b"up", b"down")
        finally:
            relay.close()
    assert relay.counts == {"sent": 2, "lost": 0}
    assert without_candidates(answer) == "v=0\r\n"


@pytest.mark.parametrize("first", [0, 65_530])
def test_a_light_viewer_counts_a_frame_only_where_all_of_its_packets_came(first: int) -> None:
    def counted(missing: set[int], twice: set[int]) -> Source:
        source = Source("video", first)
        for number in range(30):  # ten frames of three packets
            for _ in range(number not in missing and 1 + (number in twice)):
                source.take((first + number) & 0xFFFF, number % 3 == 2)
        return source

    assert counted(set(), set()).frames == 9  # nobody knows whether the first one was whole
    assert counted(set(), {7, 11}).frames == 9
    found = counted({10, 14}, set())
    assert (found.frames, found.lost, found.packets) == (6, 2, 28)  # where the last one is lost, the next one is, too


def test_what_a_packet_costs_is_what_the_server_takes_more_than_without_viewers() -> None:
    rows = [
        {"viewers": 0, "cores": 0.4, "forwarder": 0.0, "packets_per_s": None},
        {"viewers": 10, "cores": 0.45, "forwarder": 0.0, "packets_per_s": 200.0},
        {"viewers": 110, "cores": 0.5, "forwarder": 0.25, "packets_per_s": 200.0},
    ]
    priced(rows)
    assert [row["us_per_packet"] for row in rows] == [None, 25.0, pytest.approx(15.9)]
    assert fitted(rows) == {"cores_per_viewer": pytest.approx(0.003), "encoding_cores": pytest.approx(0.02)}
