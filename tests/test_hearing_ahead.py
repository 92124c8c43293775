"""A file's engine hears more of the voice at once than a mouth needs: the mouths are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_dub.media import MS, NS, Samples
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import Generated, MouthGenerator
from realtime_dub.mouth.passthrough import PassthroughGenerator
from realtime_dub.pipeline.file.pulled import PulledVoice
from realtime_dub.pipeline.file.ticks import MouthMaker
from realtime_dub.pipeline.schedule import TrackedSample
from realtime_dub.sources.demo_voice import DemoVoiceSource
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes

FRAMES, PERIOD_NS = 30, 40 * MS
SPOKEN_NS = 3 * NS


def mouths(generator: MouthGenerator, ahead_ns: int, frames: int = FRAMES) -> list[Generated | None]:
    voice, seen = DemoVoiceSource(), tracked_portrait()
    info = voice.open()
    maker = MouthMaker(generator, PulledVoice(voice, info.rate, info.channels), SPOKEN_NS, ahead_ns)
    made = []
    for seq in range(frames):
        frame = replace(seen.frame, pts_ns=SPOKEN_NS + seq * PERIOD_NS, seq=seq)
        made += maker.make([TrackedSample(replace(seen, frame=frame))])
    voice.close()
    return [each.patch for each in made]


def test_mouths_do_not_depend_on_how_much_is_heard_at_once() -> None:
    short, long = (mouths(registry.create(registry.DEFAULT), ahead_ns) for ahead_ns in (0, 120 * MS))
    assert [patch is None for patch in short] == [patch is None for patch in long]
    drawn = [(one, other) for one, other in zip(short, long, strict=True) if one is not None and other is not None]
    assert len(drawn) > FRAMES // 2
    for one, other in drawn:
        assert one.box == other.box  # type: ignore[union-attr]
        # The net's numbers differ in the eighth place, which may turn a pixel at an edge.
        assert np.abs(one.image.astype(int) - other.image).mean() < 0.02


def test_it_is_heard_in_longer_pieces_and_every_sample_once() -> None:
    class Ears(PassthroughGenerator):
        def __init__(self) -> None:
            super().__init__()
            self.heard: list[Samples] = []

        def hear(self, samples: Samples, pts_ns: int) -> None:
            super().hear(samples, pts_ns)
            self.heard.append(samples)

    short, long = Ears(), Ears()
    mouths(short, 0)
    mouths(long, 120 * MS)
    assert len(long.heard) < len(short.heard) / 3
    one, other = (np.concatenate(ears.heard) for ears in (short, long))
    assert np.array_equal(one, other[: len(one)])
    assert len(other) - len(one) <= 0.12 * 16_000 + 1
