"""The page of all engines: its rows, its figures of pixels, and what is kept of a run that was stopped."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from faces import tracked_portrait
from talkers import write_talker

from benchmarks import engine_page, engine_rows, engines
from benchmarks.engine_page import Told, figures_of, written
from benchmarks.engine_rows import EngineRow, Kept, rows_of
from benchmarks.mouth_pixels import changed_region, figures, lips_box
from benchmarks.rendered import Setup
from engines.common.mouth_figures import Score
from realtime_dub.media import Image
from realtime_dub.mouth import passthrough, registry

pytestmark = pytest.mark.computes
ALL = np.ones(1, bool)


def pasted(light: int, soft: float) -> Image:
    """The portrait with its mouth's surroundings lighter, in a box whose edge is ``soft`` pixels wide."""
    seen = tracked_portrait()
    image = seen.frame.image.astype(np.float32)
    x, y, width, height = lips_box(seen, 0.4)
    mask = np.zeros(image.shape[:2], np.float32)
    mask[y : y + height, x : x + width] = light
    if soft:
        mask = cv2.GaussianBlur(mask, (0, 0), soft)
    return np.clip(np.rint(image + mask[..., None]), 0, 255).astype(np.uint8)


def of(image: Image) -> dict[str, float]:
    return figures([tracked_portrait()], [image], ALL)


def test_what_was_left_alone_is_exact_and_has_no_edge() -> None:
    found = of(tracked_portrait().frame.image)
    assert found["ssim"] == pytest.approx(1)
    assert found["sharpness"] == pytest.approx(1)
    assert np.isinf(found["psnr"])
    assert np.isnan(found["seam"])


def test_a_pasted_box_has_a_seam_and_a_soft_edge_has_less() -> None:
    box, soft, softer = (of(pasted(40, sigma))["seam"] for sigma in (0, 3, 12))
    assert box > soft > softer
    assert box > 1.4
    assert softer < 1.1


def test_a_blurred_mouth_is_less_sharp_and_less_alike() -> None:
    seen = tracked_portrait()
    x, y, width, height = lips_box(seen)
    image = seen.frame.image.copy()
    part = image[y : y + height, x : x + width]
    part[:] = cv2.GaussianBlur(part, (0, 0), 4)
    found = of(image)
    assert found["sharpness"] < 0.8
    assert found["ssim"] < 0.95
    assert 15 < found["psnr"] < 45
    region = changed_region(seen.frame.image, image)
    assert not region[: y - 3].any()
    assert region[y + 5 : y + height - 5, x + 5 : x + width - 5].all()


def test_frames_that_do_not_count_are_told_as_nothing() -> None:
    seen = tracked_portrait()
    for tracked, where in ((seen, ~ALL), (replace(seen, face=None), ALL)):
        assert all(np.isnan(value) for value in figures([tracked], [seen.frame.image], where).values())


def test_every_engine_of_the_registry_has_a_row_or_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here knows engines by name: one more comes by itself, one that wants a bundle says so."""
    added = replace(passthrough.ENGINE, name="added")
    monkeypatch.setattr(passthrough, "ADDED", added, raising=False)
    monkeypatch.setitem(registry.ENGINES, "added", "realtime_dub.mouth.passthrough:ADDED")
    rows, left_out = rows_of({})
    names = [row.name for row in rows]
    assert set(names) | set(left_out) == {*registry.names(), "truth", "frozen", "shuffled"}
    assert "added" in names
    assert set(left_out) == {name for name in registry.names() if registry.engine(name).needs_bundle}
    assert names[-3:] == ["truth", "frozen", "shuffled"]
    assert [row.runs_live for row in rows[-3:]] == [False] * 3


def cell(name: str, speaker: str, r: float) -> Score:
    curve = np.sin(np.arange(30))
    curve[3] = np.nan
    told = {"r_at_0": r, "psnr": float("inf"), "seam": float("nan")}
    return Score(name, speaker, curve, curve, told)


def test_what_was_measured_is_kept_until_the_bundle_is_another(tmp_path: Path) -> None:
    row = EngineRow("a/b", Setup("passthrough"), "net 1")
    kept = Kept.read(tmp_path / "work", [row])
    kept.cells[row.name]["x_1"] = cell("x_1", "x", 0.5)
    kept.once[row.name]["frame_ms"] = 3.0
    kept.write()
    again = Kept.read(tmp_path / "work", [row])
    np.testing.assert_array_equal(again.cells[row.name]["x_1"].truth, kept.cells[row.name]["x_1"].truth)
    assert again.once[row.name] == {"frame_ms": 3.0}
    assert np.isnan(again.cells[row.name]["x_1"].figures["seam"])
    Kept.read(tmp_path / "work", [replace(row, name="other")]).write()  # of other engines: nothing is lost
    assert Kept.read(tmp_path / "work", [row]).once[row.name] == {"frame_ms": 3.0}
    newer = Kept.read(tmp_path / "work", [replace(row, label="net 2")])
    assert newer.cells[row.name] == newer.once[row.name] == {}
    assert kept.strip(row.name).parent == tmp_path / "work"


def test_figures_are_means_over_people_of_the_clips_of_this_run(tmp_path: Path) -> None:
    row = EngineRow("net", Setup("passthrough"), "net 1")
    kept = Kept.read(tmp_path, [row])
    kept.cells["net"] = {"x_1": cell("x_1", "x", 0.2), "x_2": cell("x_2", "x", 0.4), "y_1": cell("y_1", "y", 0.7)}
    found = figures_of(row, kept, ["x_1", "x_2", "y_1"])
    assert found["r_at_0"] == pytest.approx(0.5)
    assert np.isinf(found["psnr"])
    assert figures_of(row, kept, ["y_1"])["r_at_0"] == pytest.approx(0.7)
    kept.add_strip("net", np.full((8, 32, 3), 200, np.uint8))
    assert engine_page.write_sheet(tmp_path / "page.jpg", [row], kept)
    told = Told(["x_1", "x_2", "y_1"], ["x", "y"], {"other": "it wants a bundle"}, "CC0")
    page = written([row], kept, told, "page.jpg")
    assert "| net | 0.50 |" in page
    assert "exact" in page
    assert "(page.jpg)\n\nCC0" in page
    assert "`other` has no row: it wants a bundle." in page
    assert "$" not in page
    assert "page.jpg" not in written([row], kept, told, "")


@pytest.mark.slow
def test_the_command_writes_the_page_and_goes_on_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    for index, name in enumerate(("a_1.mp4", "b_1.mp4")):
        write_talker(clips / name, 1.2, seed=index)
    work, page = tmp_path / "work", tmp_path / "engines.md"
    given = ["--data", str(clips), "--engines", "passthrough", "--work", str(work), "--page", str(page)]
    monkeypatch.setattr(sys, "argv", ["engines", *given, "--credit", "made by a test"])
    engines.main()
    rows = json.loads(capsys.readouterr().out.splitlines()[-1])["rows"]
    assert list(rows) == ["passthrough", "truth", "frozen", "shuffled"]
    assert rows["passthrough"]["r_at_0"] == pytest.approx(1)
    assert rows["truth"]["r_at_0"] > 0.8 > rows["frozen"]["r_at_0"] + 0.2
    assert rows["frozen"]["distance_share"] == pytest.approx(1, abs=0.3)
    assert rows["frozen"]["lip_leak"] <= rows["passthrough"]["lip_leak"]
    assert rows["passthrough"]["frame_ms"] < rows["passthrough"].get("fps_live", 100)
    assert cv2.imread(str(page.with_suffix(".jpg"))).shape[0] == 5 * engine_page.SIDE
    before = page.read_text()
    (work / engine_rows.FIGURES).touch()
    monkeypatch.setattr(engines, "measure", lambda *_: pytest.fail("nothing is missing"))
    engines.main()
    assert page.read_text() == before
