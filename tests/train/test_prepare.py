"""From talking videos to tracks: real videos through real workers, and the parts by themselves."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

pytest.importorskip("pocketsphinx")

from talkers import write_talker

from engines.common import command
from engines.common.dataset import Dataset
from engines.common.prepare import cli, finish, layouts, offset, segments, speakers, speech, workers
from realtime_dub.errors import ConfigError, MediaError
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.media import MS, Frame

ROOT = Path(__file__).parents[2]


def run(folder: Path, out: Path, layout: str = "generic", sizes: tuple[int, ...] = (32,)) -> finish.Summary:
    console = Console(file=io.StringIO())
    return cli.prepare(folder, out, layout, sizes, 2, 0.5, None, console)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three speakers' folders, one of them filmed at 30 fps, and files that are good for nothing."""
    folder = tmp_path_factory.mktemp("videos")
    for name in ("ann", "bob", "cid"):
        (folder / name).mkdir()
    write_talker(folder / "ann" / "one.mp4", seed=1)
    write_talker(folder / "ann" / "two.mkv", seed=2, fps=30)
    write_talker(folder / "bob" / "one.mp4", seed=3)
    write_talker(folder / "cid" / "one.mp4", seed=4)
    write_talker(folder / "cid" / "wall.mp4", face=False)
    write_talker(folder / "cid" / "mute.mp4", sound=False)
    (folder / "bob" / "empty.mp4").touch()
    (folder / "bob" / "text.mp4").write_text("no video at all")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="module")
def prepared(videos: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, finish.Summary]:
    out = tmp_path_factory.mktemp("prepared")
    return out, run(videos, out)


def test_tracks_have_pictures_face_and_sound(prepared: tuple[Path, finish.Summary]) -> None:
    out, summary = prepared
    dataset = Dataset(out)
    assert sorted(entry.track for entry in dataset.entries) == ["ann/one", "ann/two", "bob/one", "cid/one"]
    for entry in dataset.entries:
        track = dataset.load(entry)
        assert entry.frames == 40  # 1.6 s at 25 per second, filmed at 25 or at 30
        assert track.canonical.shape == (40, 478, 3)
        assert track.seen.all()
        assert len(track.audio) == 40 * 640
        assert len(track.speech) == 160
        assert dataset.mouths(entry, 32).shape == (40, 32, 32, 3)
        assert dataset.mouths(entry, 32, np.array([3])).shape == (1, 32, 32, 3)
        landmarks = track.landmarks()
        assert landmarks[..., :2].min() > 0
        assert landmarks[..., 1].max() < 240
    assert not summary.labelled or {row.speaker for row in summary.rows} == {"ann", "bob", "cid"}
    with pytest.raises(ConfigError, match="no mouth pictures of 96"):
        dataset.mouths(dataset.entries[0], 96)


def test_the_sound_is_where_the_picture_is(prepared: tuple[Path, finish.Summary]) -> None:
    dataset = Dataset(prepared[0])
    for entry in dataset.entries:
        audio = dataset.load(entry).audio
        level = np.abs(audio.reshape(-1, 160)).mean(1)
        first = int(np.flatnonzero(level > 0.02)[0])
        assert 29 <= first <= 60, entry.track  # the talker is silent for 0.3 s, then sets in within a syllable


def test_bad_files_are_listed_with_their_reason(prepared: tuple[Path, finish.Summary]) -> None:
    out, summary = prepared
    reasons = {Path(file).name: why for file, why in summary.bad}
    assert set(reasons) == {"wall.mp4", "mute.mp4", "empty.mp4", "text.mp4"}
    assert "no face" in reasons["wall.mp4"]
    assert "no audio" in reasons["mute.mp4"]
    assert "empty" in reasons["empty.mp4"]
    assert len((out / "bad.tsv").read_text().splitlines()) == 5


def test_people_are_kept_apart(prepared: tuple[Path, finish.Summary]) -> None:
    out, _ = prepared
    dataset = Dataset(out)
    people = {part: {entry.speaker for entry in dataset.part(part)} for part in finish.PARTS}
    assert people == {"train": {"ann"}, "validation": {"bob"}, "test": {"cid"}}
    assert (out / "train.txt").read_text().split() == ["ann/one", "ann/two"]


def test_the_report_asks_for_nothing_from_outside(prepared: tuple[Path, finish.Summary]) -> None:
    page = (prepared[0] / "report.html").read_text()
    assert "data:image/jpeg;base64," in page
    assert "text.mp4" in page
    assert "http:" not in page
    assert "https:" not in page
    assert "<script" not in page
    assert "default-src 'none'" in page


def test_it_goes_on_where_it_was(videos: Path, prepared: tuple[Path, finish.Summary]) -> None:
    out, first = prepared
    made = {path: path.stat().st_mtime_ns for path in (out / "tracks").rglob("*.npz")}
    (out / "clips" / "bob" / "one.json").unlink()  # as if it had been stopped before the record was written
    (out / "tracks" / "ann" / "one.npz").unlink()
    second = run(videos, out)
    again = {path.relative_to(out / "tracks").as_posix() for path, at in made.items() if path.stat().st_mtime_ns != at}
    assert again == {"ann/one.npz", "bob/one.npz"}
    assert [vars(row) for row in second.rows] == [vars(row) for row in first.rows]
    assert not list(out.rglob("*.part*"))


def test_other_settings_are_refused(videos: Path, prepared: tuple[Path, finish.Summary]) -> None:
    with pytest.raises(ConfigError, match="prepared in another way"):
        run(videos, prepared[0], sizes=(64,))
    with pytest.raises(ConfigError, match="unknown layout"):
        run(videos, prepared[0], layout="other")


def test_nothing_to_work_on_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="no videos in"):
        run(tmp_path, tmp_path / "out")
    (tmp_path / "bad.mp4").touch()
    with pytest.raises(MediaError, match=r"none of the videos can be used: 1 were read; the first one: .*empty"):
        run(tmp_path, tmp_path / "out")


# The parts.


def looks(script: Iterator[tuple[int, np.ndarray | None]]) -> Iterator[segments.Look]:
    before = None
    for at_ms, points in script:
        frame = Frame(np.zeros((120, 160, 3), np.uint8), at_ms * MS, 0)
        before = segments.look(frame, points, before, (16,))
        yield before


FACE = (TEMPLATE * 20 + np.array([80, 60, 0])).astype(np.float32)


def shifted(pixels: float) -> np.ndarray:
    return (FACE + np.array([pixels, 0, 0])).astype(np.float32)


def test_a_track_is_on_the_grid_whatever_the_frame_rate() -> None:
    moving = ((round(k * 1000 / 60), shifted(k / 6)) for k in range(120))
    (track,) = segments.cut_tracks(looks(moving))
    assert len(track) == 51  # 0 to 1.983 s
    assert np.diff(track.shift[:49, 0]) == pytest.approx(np.full(48, 0.4), abs=0.02)  # 10 pixels per second
    assert len(track.crops[16]) == 51


def test_a_short_loss_is_bridged_and_a_long_one_ends_the_track() -> None:
    script = [(k * 40, None if 30 <= k < 33 else FACE) for k in range(60)]
    (track,) = segments.cut_tracks(looks(iter(script)))
    assert len(track) == 60
    assert np.flatnonzero(~track.seen).tolist() == [30, 31, 32]
    assert np.allclose(track.canonical[31], track.canonical[0], atol=1e-4)
    script = [(k * 40, None if 30 <= k < 40 else FACE) for k in range(80)]
    first, second = segments.cut_tracks(looks(iter(script)))
    assert (len(first), len(second)) == (30, 40)
    assert second.start_ns == 1600 * MS


def test_another_face_begins_another_track_and_long_ones_are_cut() -> None:
    other = shifted(45)
    script = [(k * 40, FACE if k < 30 else other) for k in range(60)]
    assert [len(track) for track in segments.cut_tracks(looks(iter(script)))] == [30, 30]
    assert [len(t) for t in segments.cut_tracks(looks((k * 40, FACE) for k in range(540)))] == [500, 40]
    assert list(segments.cut_tracks(looks((k * 40, FACE) for k in range(20)))) == []


def test_the_crop_is_upright_and_centred_on_the_mouth() -> None:
    turn = np.deg2rad(20)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    points = (30 * TEMPLATE @ rotation.T + [100, 90, 0]).astype(np.float32)
    matrix = segments.crop_matrix(points)
    corners = points[[61, 291], :2] @ matrix[:, :2].T + matrix[:, 2]
    assert corners[0, 1] == pytest.approx(corners[1, 1], abs=0.01)
    assert corners.mean(0)[0] == pytest.approx(0.5, abs=0.01)
    assert corners[1, 0] - corners[0, 0] == pytest.approx(1 / segments.CROP_SIDE, abs=0.01)


def synthetic_pairs(late: np.ndarray, seed: int = 0) -> list[offset.Pair]:
    """Lips that follow two bands of the sound, which is late by ``late`` mel frames."""
    rng = np.random.default_rng(seed)
    pairs = []
    for shift in late:
        count = 75 * offset.STEP + 2 * offset.MARGIN
        wide = np.convolve(rng.standard_normal(count + 200), np.hanning(24), "same")
        curve = wide[100 : 100 + count]
        heard = wide[100 - shift : 100 - shift + count]
        mel = rng.normal(0, 0.5, (count, 80)).astype(np.float32)
        mel[:, 10:14] += heard[:, None]
        mel[:, 40:44] -= 0.5 * heard[:, None]
        at = offset.MARGIN + offset.STEP * np.arange(75) + offset.LEAD
        pairs.append(offset.Pair(mel, (0.1 * curve[at] + rng.normal(0, 0.03, 75)).astype(np.float32)))
    return pairs


def test_offsets_are_found_with_their_sign() -> None:
    late = np.random.default_rng(1).integers(-12, 13, 40)
    found = offset.find_offsets(synthetic_pairs(late))
    assert found.tracks is not None
    errors = np.array([track.ms for track in found.tracks]) - 10 * (late - np.median(late))
    assert np.abs(errors).max() < 15
    assert min(track.confidence for track in found.tracks) > 0.9


def test_what_is_common_to_all_is_found_too() -> None:
    found = offset.find_offsets(synthetic_pairs(np.full(40, 15)))
    assert found.tracks is not None
    assert abs(found.common_ms - 150) <= 20
    assert found.tracks[0].ms == pytest.approx(150, abs=20)


def test_another_tracks_sound_is_not_trusted() -> None:
    pairs = synthetic_pairs(np.zeros(40, int))
    wrong = [offset.Pair(pairs[(k + 20) % 40].mel, pair.opening) if k < 4 else pair for k, pair in enumerate(pairs)]
    found = offset.find_offsets(wrong)
    assert found.tracks is not None
    assert np.mean([track.confidence for track in found.tracks[:4]]) < 0.8
    assert min(track.confidence for track in found.tracks[4:]) > 0.9


def test_too_few_tracks_are_left_as_they_are() -> None:
    assert offset.find_offsets(synthetic_pairs(np.zeros(5, int))).tracks is None


def dies(item: int) -> str:
    if item == 3:
        os._exit(1)
    return f"done {item}"


def test_a_file_that_kills_its_reader_takes_nothing_else_along() -> None:
    crashed: list[int] = []
    found = dict(workers.work(range(8), dies, 2, crashed.append))
    assert crashed == [3]
    assert found == {item: workers.CRASHED if item == 3 else f"done {item}" for item in range(8)}


def test_layouts_know_speakers_and_words(tmp_path: Path) -> None:
    def touch(*names: str) -> None:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()

    touch("grid/s1/bbaf2n.mpg", "grid/s2/align/bbaf3s.align", "grid/s2/bbaf3s.mpg", "flat/s26_x.mp4", "one/s3/a.mp4")
    (tmp_path / "grid/s2/align/bbaf3s.align").write_text("0 23750 sil\n23750 29500 bin\n")
    (tmp_path / "grid/s1.words.tsv").write_text("clip\tstart_ms\tend_ms\tword\nbbaf2n\t950\t1180\tblue\n")
    first, second = layouts.find_clips(tmp_path / "grid", "grid")
    assert (first.name, first.speaker, first.words) == ("s1/bbaf2n", "s1", ((950, 1180, "blue"),))
    assert (second.speaker, second.words) == ("s2", ((0, 950, "sil"), (950, 1180, "bin")))
    assert layouts.find_clips(tmp_path / "flat", "grid")[0].speaker == "s26"
    assert layouts.find_clips(tmp_path / "one" / "s3", "grid")[0].speaker == "s3"
    assert layouts.find_clips(tmp_path / "one" / "s3", "generic")[0].speaker is None
    touch("lrs2/main/6330/00011.mp4", "lrs2/main/6330/00011.txt", "lrs2/main/6330/00011.mkv")
    (tmp_path / "lrs2/main/6330/00011.txt").write_text("Text:  HELLO THERE\nWORD START END\nHELLO 0.1 0.5 9.2\n")
    clips = layouts.find_clips(tmp_path / "lrs2", "lrs2")
    assert [clip.name for clip in clips] == ["main/6330/00011.mkv", "main/6330/00011.mp4"]
    assert (clips[0].speaker, clips[0].text, clips[0].words) == ("6330", "HELLO THERE", ((100, 500, "hello"),))


def test_people_are_told_apart_by_their_faces() -> None:
    rng = np.random.default_rng(0)
    signatures = []
    for person in range(3):
        face = TEMPLATE + np.random.default_rng(person).normal(0, 0.03, TEMPLATE.shape)
        for _ in range(5):
            canonical = face + rng.normal(0, 0.003, (1, 1, 3)) + rng.normal(0, 0.003, (20, 478, 3))
            signatures.append(speakers.signature(canonical, rng.normal(0, 0.2, (200, 80))))
    found = speakers.group(np.stack(signatures))
    assert found == ["person01"] * 5 + ["person02"] * 5 + ["person03"] * 5
    assert speakers.group(np.stack(signatures[:1])) == ["person01"]


def test_speech_is_told_from_silence() -> None:
    rng = np.random.default_rng(0)
    at = np.arange(16_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 25)) * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at))
    sound = np.concatenate([np.zeros(16_000), 0.1 * voice, np.zeros(16_000)]) + 1e-4 * rng.standard_normal(48_000)
    spoken = speech.speech_activity(sound.astype(np.float32))
    assert len(spoken) == 300
    assert spoken[110:190].mean() > 0.9
    assert spoken[:90].mean() < 0.1
    assert speech.runs(np.array([0, 1, 1, 0, 1], bool)) == [(1, 3), (4, 5)]


def test_one_speakers_clips_are_held_out_by_the_rule() -> None:
    names = [f"c{k:03}" for k in range(40)]
    rows = [finish.Row(name, name, "s1", 75, "", []) for name in names if name != "c005"]
    notes = finish._divide(rows, names)
    parts = {row.track: row.part for row in rows}
    assert [name for name, part in parts.items() if part == "test"] == ["c000", "c020"]
    assert [name for name, part in parts.items() if part == "validation"] == ["c010", "c030"]
    assert "every 20th is test" in notes[0]


def test_many_speakers_are_held_out_whole() -> None:
    rows = [finish.Row(f"{s}/{k}", f"{s}/{k}", f"p{s:02}", 75 + s, "", []) for s in range(30) for k in range(3)]
    assert finish._divide(rows, []) == []
    by_part = {part: {row.speaker for row in rows if row.part == part} for part in finish.PARTS}
    assert {part: len(people) for part, people in by_part.items()} == {"train": 24, "validation": 3, "test": 3}
    assert not by_part["train"] & (by_part["validation"] | by_part["test"])


def test_the_command_says_what_is_wrong_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["prepare-dataset", str(tmp_path / "none"), "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        command.prepare_dataset()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("error: no such folder:")


def test_without_the_training_extra_the_command_says_so() -> None:
    code = (
        "import sys; sys.modules['pocketsphinx'] = None; sys.argv[1:] = ['--help']\n"
        "from engines.common.command import prepare_dataset; prepare_dataset()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 2
    assert done.stderr == 'error: cannot load pocketsphinx; run: pip install "realtime-dub[train]"\n'


def test_the_index_is_plain_json(prepared: tuple[Path, finish.Summary]) -> None:
    rows = [json.loads(line) for line in (prepared[0] / "tracks.jsonl").read_text().splitlines()]
    assert all({"track", "speaker", "frames", "offset_ms", "part", "words"} <= set(row) for row in rows)
