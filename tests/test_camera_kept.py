"""What a machine was measured to hold: taken at the next start, and refused where it says nothing of it any more."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from realtime_dub.config import LiveConfig, build
from realtime_dub.media import MS, NS
from realtime_dub.mouth.passthrough import PassthroughGenerator
from realtime_dub.pipeline import camera, camera_kept
from realtime_dub.pipeline.camera import CameraMode
from realtime_dub.pipeline.camera_kept import DAY_S, MOST_ENTRIES, Kept, kept_for

pytestmark = pytest.mark.computes
MAY_NS = 20 * MS


def place(folder: Path, engine: str = "mouthbank") -> Kept:
    return Kept(folder / "deep" / "camera.json", {"engine": engine})


def aged(entry: Kept, age_s: float) -> Kept:
    """The same, as if it had been written so long ago."""
    told = json.loads(entry.path.read_text())
    for each in told["entries"]:
        each["at_s"] -= age_s
    entry.path.write_text(json.dumps(told))
    return entry


def chosen(entry: Kept, **how: bool) -> CameraMode:
    return camera.choose(PassthroughGenerator, fps=2, most_ns=60 * NS, kept=entry, **how)


def test_a_machine_is_measured_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = place(tmp_path)
    first = chosen(entry)
    monkeypatch.setattr(camera, "mouth_ns", lambda *_: pytest.fail("it was measured again"))
    second = chosen(entry)
    assert (first.width, first.height, first.fps) == (second.width, second.height, second.fps) == (1280, 720, 2)
    assert ", measured today, and may take 300" in second.why
    assert "measured" not in first.why


def test_it_is_measured_anew_where_that_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = place(tmp_path)
    entry.write(15 * MS)
    monkeypatch.setattr(camera, "mouth_ns", lambda *_: 500 * MS)
    assert chosen(entry, anew=True).width == 640
    assert entry.read(MAY_NS)[0] == 500 * MS  # type: ignore[index]


def test_what_was_too_slow_to_be_measured_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = place(tmp_path)
    monkeypatch.setattr(camera, "mouth_ns", lambda *_: None)
    assert chosen(entry).width == 640
    assert entry.read(MAY_NS) is None


@pytest.mark.parametrize(
    ("took_ms", "age_s", "counts"),
    [
        (15, 20 * DAY_S, True),
        (15, 31 * DAY_S, False),
        (25, 3_600, True),
        (25, 2 * DAY_S, False),  # it may have been busy
        (15, -3_600, False),  # the clock was set back
    ],
)
def test_it_counts_for_a_while(tmp_path: Path, took_ms: int, age_s: float, counts: bool) -> None:
    entry = place(tmp_path)
    entry.write(took_ms * MS)
    assert (aged(entry, age_s).read(MAY_NS) is not None) is counts


@pytest.mark.parametrize("name", ["version", "python", "machine", "processor", "cores", "threads"])
def test_it_counts_for_this_machine_and_version_alone(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = place(tmp_path)
    entry.write(15 * MS)
    assert entry.read(MAY_NS) is not None
    other = {**camera_kept.machine(), name: "another"}
    monkeypatch.setattr(camera_kept, "machine", lambda: other)
    assert entry.read(MAY_NS) is None


def test_each_engine_has_its_own_and_the_oldest_go(tmp_path: Path) -> None:
    for number in range(MOST_ENTRIES + 2):
        place(tmp_path, str(number)).write((number + 1) * MS)
    assert [place(tmp_path, str(number)).read(MAY_NS) is None for number in range(MOST_ENTRIES + 2)] == [
        number < 2 for number in range(MOST_ENTRIES + 2)
    ]
    assert kept_for(build(LiveConfig)) == kept_for(build(LiveConfig, mic="default"))
    assert kept_for(build(LiveConfig)) != kept_for(build(LiveConfig, quality="low"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"format": 2, "entries": []}',
        '{"format": 1, "entries": [1, {"of": {}}]}',
        '{"format": 1}',
        "\x00",
    ],
)
def test_what_is_no_measurement_is_none_and_is_written_over(tmp_path: Path, text: str) -> None:
    entry = place(tmp_path)
    entry.path.parent.mkdir()
    entry.path.write_text(text)
    assert entry.read(MAY_NS) is None
    entry.write(15 * MS)
    assert entry.read(MAY_NS) is not None


def test_a_folder_that_cannot_be_written_to_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "deep").write_text("a file where the folder should be")
    place(tmp_path).write(15 * MS)
    assert place(tmp_path).read(MAY_NS) is None
