"""The least time of a call, by its arithmetic and by its weights."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from export import report, roofline
from export.bundles import network_of
from export.inputs import HOPS
from export.roofline import Peak, Work
from export.trials import Asked, trial
from realtime_dub.inference.bundle import Bundle, load_default

pytestmark = pytest.mark.usefixtures("home")


def test_each_weight_of_the_motion_net_is_used_once_a_hop(motion: Bundle) -> None:
    work = roofline.work_of(network_of(motion), motion.spec)
    assert work.flops == pytest.approx(2 * HOPS * work.weight_bytes / 4, rel=0.02)  # but for biases and scales


def test_recurrent_layers_and_products_are_counted() -> None:
    lips = load_default("own-texture")
    work = roofline.work_of(network_of(lips), lips.spec)
    hidden, features, lstm = 60, 28, 4
    assert work.flops >= 2 * HOPS * lstm * hidden * (features + hidden)
    assert work.flops == pytest.approx(2 * HOPS * work.weight_bytes / 4, rel=0.05)


def test_convolutions_are_counted_by_where_they_are_made(mask: Bundle) -> None:
    work = roofline.work_of(network_of(mask), mask.spec)
    assert work.flops > 100 * work.weight_bytes / 4  # each weight at many places


def test_the_roof_is_what_takes_longer_and_weights_are_read_once_for_all() -> None:
    peak, work = Peak(flops_per_s=1e9, bytes_per_s=1e9), Work(flops=2_000_000, weight_bytes=8_000_000)
    alone, four, eight = (peak.roof(work, streams) for streams in (1, 4, 8))
    assert (alone.arithmetic_ms, alone.memory_ms, alone.limit) == (2.0, 8.0, "memory")
    assert (four.least_ms, four.limit) == (8.0, "arithmetic")
    assert (eight.least_ms, eight.memory_ms) == (16.0, 8.0)


def test_what_this_machine_does_at_best_can_be() -> None:
    found = roofline.peak(1 << 20)
    assert 1e8 < found.flops_per_s < 1e13
    assert 1e8 < found.bytes_per_s < 1e13


def test_reports_have_it(mask: Bundle) -> None:
    found = trial(mask, "cpu", Asked(calls=20))
    assert [each.streams for each in found.roofs] == [each.streams for each in found.speeds]
    assert all(each.arithmetic_ms > 0 for each in found.roofs)
    beside = replace(found, backend="tensorrt-rtx", roofs=())  # of other backends no roof is known
    page = report.as_html([found, beside])
    assert page.split("<h2>Roofline</h2>")[1].split("<h2>")[0].count("<tr>") == 1 + len(found.roofs)
    assert "of what is possible" in page
    [told] = json.loads(report.as_json([found]))["trials"]
    assert told["roofs"][0]["streams"] == 1
