"""What painters show: no box, the light that is there, the live mouth where nothing is to be painted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import painters
import pytest
from faces import portrait, tracked_portrait
from painters import RATE, opened, person, voice

from realtime_dub.blend.composite import Compositor
from realtime_dub.blend.masks import lower_face, polygon
from realtime_dub.config import FileConfig, build
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.types import TrackedFrame
from realtime_dub.inference.spec import CropSpec
from realtime_dub.media import MS, NS
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import MouthPatch
from realtime_dub.mouth.painter.box import FaceBox
from realtime_dub.mouth.painter.generator import PainterGenerator, margins_of, wav2lip
from realtime_dub.pipeline.file.run import run_file

pytestmark = pytest.mark.computes

PERIOD = 40 * MS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return painters.write_bundle(tmp_path_factory.mktemp("painter") / "bundle", painters.reference_net())


@pytest.fixture
def generator(folder: Path) -> Iterator[PainterGenerator]:
    made = wav2lip(bundle=folder)
    yield made
    made.close()


def dubbed(generator: PainterGenerator, frames: list[TrackedFrame], sound: np.ndarray) -> list[MouthPatch | None]:
    generator.hear(sound, -NS)
    return [generator.generate(each, each.frame.pts_ns) for each in frames]


def test_a_network_that_gives_the_reference_leaves_no_box(generator: PainterGenerator) -> None:
    frames = [person(at * PERIOD) for at in range(10)]
    patch = dubbed(generator, frames, voice(3))[-1]
    assert patch is not None
    last = frames[-1]
    assert last.face is not None
    before = last.frame.image.astype(int)
    after = Compositor().compose(last, patch, 1.0).astype(int)
    changed = np.abs(after - before).max(-1)
    outline = lower_face(last.face.points, last.face.pose.scale)
    inside = polygon(outline, (0, 0, last.frame.width, last.frame.height)) > 0
    assert not changed[~inside].any()  # to the bit
    assert changed[inside].any()
    edge = inside & (cv2.erode(inside.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0)
    assert changed[edge].mean() < 2  # levels
    tone = np.abs(cv2.GaussianBlur((after - before).astype(np.float32), (0, 0), 4)).max(-1)
    assert tone[inside].max() < 12  # details are lost on 96 pixels, light is not


@pytest.mark.parametrize("shift", [(25, 25, 25), (-20, 5, 18)])
def test_another_light_is_taken_over(shift: tuple[int, int, int], folder: Path) -> None:
    """What was seen before was in another light than the frame at hand."""
    generator = wav2lip(bundle=folder)
    generator.hear(voice(3), -NS)
    bright = np.clip(portrait().astype(int) + shift, 0, 255).astype(np.uint8)
    generator.observe(person(0))
    for at in range(1, 12):
        tracked = person(at * PERIOD, bright, opened(0.1))
        patch = generator.generate(tracked, at * PERIOD)
    assert patch is not None
    x, y, width, height = patch.box
    seen = patch.alpha > 200
    difference = patch.image[seen].astype(int) - bright[y : y + height, x : x + width][seen]
    assert np.abs(np.median(difference, axis=0)).max() < 5
    generator.close()


def test_silence_a_lost_face_and_a_turned_head_leave_the_live_mouth(folder: Path) -> None:
    generator = wav2lip(bundle=folder)
    generator.hear(np.concatenate([voice(2), np.zeros(3 * RATE, np.float32)]), 0)
    spoken = [generator.generate(person(at * PERIOD), at * PERIOD) for at in range(25)]
    assert all(each is not None and not each.resting for each in spoken[3:])
    gone = generator.generate(replace(person(NS), face=None), NS)
    assert gone is None
    silent = [generator.generate(person(at * PERIOD), at * PERIOD) for at in range(26, 90)]
    assert silent[-1] is None
    weights = [0 if each is None else int(each.alpha.max()) for each in silent]
    assert max(np.abs(np.diff(weights))) < 90  # it goes by degrees
    generator.silence = "rest"
    rests = generator.generate(person(90 * PERIOD), 90 * PERIOD)
    assert rests is not None
    assert rests.resting
    generator.close()


def test_a_photograph_is_painted_in_silence(generator: PainterGenerator) -> None:
    generator.hear(np.zeros(RATE, np.float32), 0)
    tracked = person(0)
    tracked = replace(tracked, frame=replace(tracked.frame, still=True))
    patch = generator.generate(tracked, 0)
    assert patch is not None
    assert patch.resting


def test_batches_are_what_single_frames_are(tmp_path: Path) -> None:
    bundle = painters.write_bundle(tmp_path / "b", painters.reference_net(gain=0.05))
    frames = [person(at * PERIOD) for at in range(8)]
    frames[3] = replace(frames[3], face=None)
    one, many = wav2lip(bundle=bundle), wav2lip(bundle=bundle)
    for each in (one, many):
        each.hear(voice(3), -NS)
    single = [one.generate(each, each.frame.pts_ns) for each in frames]
    together = many.generate_batch([(each, each.frame.pts_ns) for each in frames])
    for a, b in zip(single, together, strict=True):
        assert (a is None) == (b is None)
        if a is not None and b is not None:
            assert np.abs(a.image.astype(int) - b.image).max() <= 1
            assert np.array_equal(a.alpha, b.alpha)


def test_pads_move_the_box(folder: Path) -> None:
    tracked = tracked_portrait()
    assert tracked.face is not None
    usual, padded = FaceBox(CropSpec(size=96)), FaceBox(CropSpec(size=96), margins_of("0,30,5,-5"))
    a, b = (each(tracked, tracked.face).corners() for each in (usual, padded))
    assert b[3, 1] > a[3, 1]
    assert b[0, 0] < a[0, 0]
    assert b[3, 0] < a[3, 0]
    for bad in ("1,2,3", "a,b,c,d", "0,0,0,500", "nan,0,0,0", ""):
        with pytest.raises(ConfigError, match="cannot use --pads"):
            wav2lip(bundle=folder, pads=bad)


def test_without_a_bundle_it_says_where_one_comes_from(folder: Path) -> None:
    with pytest.raises(BundleError, match="no network comes with engine wav2lip; give --bundle FOLDER; import-engine"):
        registry.create("wav2lip")
    other = painters.write_bundle(folder.parent / "other", painters.reference_net(), engine="lipgan")
    with pytest.raises(BundleError, match="it is for the engine lipgan; give --engine lipgan"):
        wav2lip(bundle=other)
    with pytest.raises(BundleError, match="its task is motion"):
        wav2lip(bundle=Path(registry.__file__).parents[2] / "engines" / "mouthbank" / "bundle")
    with pytest.raises(BundleError, match="it is for the engine lipgan; give --engine lipgan, or another bundle"):
        registry.create("mouthbank", bundle=other)
    assert "made by a test" in wav2lip(bundle=folder).terms


def test_the_painter_that_ships_dubs_a_still_and_leaves_the_rest(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    cv2.imwrite(str(source), portrait(360))
    config = build(FileConfig, input=str(source), mic="demo", output=tmp_path / "a.mkv", engine="lipgan", seconds=2)
    report = run_file(config)
    assert report.frames["fresh"] == report.frames["total"] == 50
    with av.open(str(config.output)) as container:
        shown = np.stack([frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]).astype(np.int16)
    moved = np.abs(shown - shown[0]).max(axis=(0, 3))
    height = len(moved)
    assert np.percentile(moved[: height // 4], 99) <= 12  # what the codec leaves
    assert moved[height // 2 :].max() > 60
