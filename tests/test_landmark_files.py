"""Landmarks in files, drawn as lines, plotted and compared."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from realtime_dub.cli import app
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.face.drawing68 import GREY, MOUTH_COLOUR, drawn, plotted
from realtime_dub.face.landmark_files import Landmarks, check_name, read, write
from realtime_dub.face.scheme68 import LOWER_OF_UPPER, scheme68
from realtime_dub.pipeline.openness import compare

pytestmark = pytest.mark.computes

SOURCE = {"video": "me.mp4", "voice": "voix à moi.wav", "engine": "some", "weights": "net 1.0"}
NAMES = ["all.npz", "all.csv", "folder"]


def talking(count: int = 50, late: int = 0, seed: int = 0) -> Landmarks:
    """A face of 80 pixels a mouth width whose lower lip follows a curve; no face in the third frame."""
    curve = np.convolve(np.random.default_rng(seed).random(count + 20), np.ones(4) / 4)[10 - late :][:count]
    points = np.repeat(200 + 80 * scheme68(TEMPLATE)[None, :, :2], count, 0)
    points[:, 48 + LOWER_OF_UPPER, 1] += 30 * curve[:, None].astype(np.float32)
    points[2] = np.nan
    return Landmarks(np.arange(count) / 25, points, SOURCE)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_written_is_read(name: str, tmp_path: Path) -> None:
    made = talking()
    check_name(tmp_path / name)
    write(tmp_path / name, made)
    found = read(tmp_path / name)
    assert found.source == SOURCE
    assert np.allclose(found.times_s, made.times_s)
    assert np.allclose(found.points, made.points, atol=1e-3, equal_nan=True)
    assert np.allclose(found.openness, made.openness, atol=1e-4, equal_nan=True)


def test_a_folder_has_a_text_for_each_frame_and_no_old_ones(tmp_path: Path) -> None:
    write(tmp_path / "folder", talking(50))
    write(tmp_path / "folder", talking(20))
    texts = sorted((tmp_path / "folder").glob("landmarks_*.txt"))
    assert len(texts) == 20
    assert len(texts[0].read_text().splitlines()) == 68
    assert texts[2].read_text() == ""


def test_openness_is_in_mouth_widths() -> None:
    shut, made = talking(), talking()
    made.points[:, 48 + LOWER_OF_UPPER, 1] += 8.0
    assert np.nanmean(made.openness - shut.openness) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_anything_else_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if path.suffix:
        path.write_bytes(b"no landmarks")
    else:
        path.mkdir()
    with pytest.raises(ConfigError, match=r"give a \.npz, a \.csv or a folder") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_names_are_looked_at_before_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot write landmarks into"):
        check_name(tmp_path / "all.mp4")
    with pytest.raises(MediaError, match="cannot write"):
        check_name(tmp_path / "nowhere" / "all.npz")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no folder"):
        check_name(tmp_path / "file")


def test_a_face_is_drawn_as_lines_and_none_as_nothing() -> None:
    image = drawn(talking().points[0], 400, 500)
    assert image.shape == (500, 400, 3)
    assert (image == MOUTH_COLOUR).all(-1).sum() > 50
    for nothing in (None, talking().points[2]):
        assert (drawn(nothing, 40, 30) == GREY).all()
    assert drawn(talking().points[0] * 1e6, 40, 30).shape == (30, 40, 3)


def test_every_curve_is_plotted() -> None:
    curves = {name: (each.times_s, each.openness) for name, each in (("a", talking()), ("b", talking(30, seed=1)))}
    assert len(np.unique(plotted(curves).reshape(-1, 3), axis=0)) > 10
    assert plotted({}).shape == plotted(curves).shape


def test_results_are_compared_with_the_first(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in NAMES]
    for path, each in zip(paths, (talking(), talking(late=2), talking(seed=9)), strict=True):
        write(path, each)
    rows = compare(paths, tmp_path / "plot.png")
    assert [row[0] for row in rows] == NAMES
    assert rows[0][1] == "voix à moi.wav, net 1.0"
    assert [rows[0][2], rows[0][4]] == ["1.000", "+0 ms"]
    assert float(rows[1][3]) > 0.95 > float(rows[1][2])
    assert rows[1][4] == "+80 ms"
    assert abs(float(rows[2][2])) < 0.7
    assert cv2.imread(str(tmp_path / "plot.png")) is not None


def test_the_command_compares(tmp_path: Path) -> None:
    for seed in (0, 1):
        write(tmp_path / f"{seed}.npz", talking(seed=seed))
    runner, files = CliRunner(), [str(tmp_path / f"{seed}.npz") for seed in (0, 1)]
    done = runner.invoke(app, ["openness", "compare", *files, "--plot", str(tmp_path / "p.png")])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "p.png").exists()
    with pytest.raises(ConfigError, match="cannot compare 1 result"):
        compare([tmp_path / "0.npz"], None)
    with pytest.raises(ConfigError, match="cannot overwrite an input file"):
        compare([tmp_path / "0.npz", tmp_path / "1.npz"], tmp_path / "0.npz")
