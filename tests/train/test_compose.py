"""The drawing of a mouth as one graph, beside what OpenCV draws on real frames."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

from benchmarks.compose import measured, ways
from benchmarks.mouth_pixels import ssim
from export.compose import graph
from export.compose_feeds import Feeds, Recording, composed
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Bank
from tests.faces import jaw_drop, read, tracked_portrait

pytestmark = pytest.mark.computes

HEIGHT = 720


@pytest.fixture(scope="module")
def session() -> OnnxSession:
    return OnnxSession(graph())


@pytest.fixture(scope="module")
def bank() -> Bank:
    """Of a face that was seen with its mouth shut and open."""
    bank, tracked = Bank(), tracked_portrait(HEIGHT)
    bank.observe(tracked)
    for amount in (0.08, 0.2):
        patch = Recording(bank).render(tracked, jaw_drop(amount), 1.0, 0)
        assert patch is not None
        image = tracked.frame.image.copy()
        x, y, width, height = patch.box
        image[y : y + height, x : x + width] = composed(tracked, patch)
        bank.observe(read(image))
    return bank


def drawn(bank: Bank, tracked: TrackedFrame) -> list[tuple[Feeds, Image]]:
    """Every mouth of the bank on a frame: what the graph is given, and what the program makes."""
    found = []
    for mouth in bank.mouths:
        renderer = Recording(bank)
        patch = renderer.show(tracked, mouth)
        assert patch is not None
        if (feeds := renderer.feeds(tracked, patch)) is not None:
            found.append((feeds, composed(tracked, patch)))
    return found


@pytest.mark.parametrize("shift", [0, 7], ids=["as it is", "moved by an odd number"])
def test_the_graph_draws_what_the_program_draws(session: OnnxSession, bank: Bank, shift: int) -> None:
    tracked = tracked_portrait(HEIGHT)
    if shift:
        tracked = read(np.roll(tracked.frame.image, shift, (0, 1)))
    mouths = drawn(bank, tracked)
    assert len(mouths) >= 2
    for feeds, wanted in mouths:
        found = session.run(feeds)["composed"]
        off = np.abs(found.astype(int) - wanted)
        assert off.max() <= 4
        assert off.mean() <= 0.1
        assert ssim(found[..., 1].astype(float), wanted[..., 1].astype(float)) >= 0.999


def test_where_nothing_is_opaque_the_frame_is_to_the_bit(session: OnnxSession, bank: Bank) -> None:
    tracked = tracked_portrait(HEIGHT)
    feeds, wanted = drawn(bank, tracked)[0]
    found, clear = session.run(feeds)["composed"], feeds["alpha"] == 0
    assert clear.any()
    assert np.array_equal(found[clear], wanted[clear])


def test_skin_is_matched_by_the_rim_and_lips_by_their_tone(session: OnnxSession, bank: Bank) -> None:
    feeds, _ = drawn(bank, tracked_portrait(HEIGHT))[0]
    dark = feeds | {"mouth": (feeds["mouth"] // 2).astype(np.uint8)}
    none = {"rim": np.zeros_like(feeds["rim"]), "tone": np.zeros(3, np.float32)}
    x, y, right, bottom = feeds["inner"]
    bare, around, lips = (
        session.run(dark | kept)["composed"][y:bottom, x:right].astype(int)
        for kept in (none, none | {"rim": feeds["rim"]}, none | {"tone": np.full(3, 30, np.float32)})
    )
    skin, red = (feeds["soft"] > 100) & (feeds["red"] < 30), feeds["red"] > 250
    assert (around - bare)[skin].mean() > 25
    assert (around - bare)[red].mean() < 10
    assert (lips - bare)[red].mean() > 10
    assert (lips - bare)[skin].mean() < 5


def test_what_is_measured_draws_the_same(bank: Bank) -> None:
    given = drawn(bank, tracked_portrait(HEIGHT))[:1]
    found = {name: measured(draw, given, turns=1) for name, draw in ways().items()}
    assert {"opencv", "graph, cpu"} <= set(found)
    assert found["opencv"]["off"] <= 1
    assert all(row["off"] <= 4 and row["ssim"] >= 0.999 and row["p50"] > 0 for row in found.values())


def test_what_the_graph_does_not_draw_is_not_given_to_it(bank: Bank) -> None:
    tracked = tracked_portrait(HEIGHT)
    renderer = Recording(bank)
    patch = renderer.reshape(tracked, tracked.face.canonical.copy())  # type: ignore[union-attr]
    assert patch is not None
    assert renderer.feeds(tracked, patch) is None  # the live lips
    renderer.work_px = 30
    patch = renderer.show(tracked, bank.mouths[0])
    assert patch is not None
    assert renderer.feeds(tracked, patch) is None  # drawn small
