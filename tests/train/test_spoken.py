"""Speech without a face as a prepared folder: read, aligned by a dictionary and by a net, gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("pocketsphinx")

from stage_runs import execute  # noqa: E402
from test_speech import SHAPE  # noqa: E402
from test_stages import CORPUS, sentences, speaker  # noqa: E402
from tiny import SPEC, filmed, heard  # noqa: E402

from engines.common.dataset import ALIGNMENTS, Dataset  # noqa: E402
from engines.common.make_demo_voice import SENTENCES  # noqa: E402
from engines.common.make_template import faces_in, mean_face  # noqa: E402
from engines.common.prepare import cli, finish, synthetic  # noqa: E402
from engines.common.prepare.phones import NET, POCKETSPHINX, write_audio  # noqa: E402
from engines.common.results import NET as NET_FILE  # noqa: E402
from engines.common.results import write_net  # noqa: E402
from engines.common.speech.corpus import Row  # noqa: E402
from engines.common.speech.force_align import Segment  # noqa: E402
from engines.common.speech.network import SpeechNet  # noqa: E402
from realtime_dub.errors import MediaError  # noqa: E402
from realtime_dub.face.alignment import TEMPLATE  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sentences, one with a word that no dictionary has but whose phones are told, and a file that is none."""
    root = tmp_path_factory.mktemp("speech")
    rows = ["file\tcorpus\tlanguage\tspeaker\tgender\ttext"]
    for index, voice in enumerate(sentences()[:2]):
        write_audio(root, f"{index}", voice)
        corpus, text = (CORPUS, SENTENCES[0]) if index == 0 else ("speechocean762", "xyzzy")
        rows.append(f"sound/{index}.wav\t{corpus}\ten\t{speaker('train')}\tf\t{text}")
    rows.append(f"sound/gone.wav\t{CORPUS}\ten\tx\tm\tgone")
    (root / "transcripts.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    return root


def test_what_a_dictionary_cannot_align_a_net_does(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, run = tmp_path / "prepared", tmp_path / "run" / "speech"
    tried = (folder, "--layout", "speech", "-o", out)
    assert execute(monkeypatch, "prepare-dataset", *tried) == 0
    assert "1 of 2 clips with phonemes" in capsys.readouterr().out
    assert "sound/gone.wav\t" in (out / "bad.tsv").read_text()
    before = (out / ALIGNMENTS).read_text()
    assert execute(monkeypatch, "prepare-dataset", *tried) == 0
    assert (out / ALIGNMENTS).read_text() == before  # nothing is tried twice
    run.mkdir(parents=True)
    write_net(run / NET_FILE, SpeechNet(SHAPE))
    phones = "P_B IH_I K_E AH_B M_B AY_I K_I R_I AH_I F_I OW_I N_E AE_B N_E D_E M_B AY_E M_B AW_I TH_E M_B UW_I V_E"
    (folder / "speechocean762.text-phone").write_text(f"1.0\t{phones}\n")
    assert execute(monkeypatch, "prepare-dataset", *tried, "--aligner", run.parent) == 0
    found = {entry.track: entry for entry in Dataset(out).entries}
    assert [found[f"sound__{index}"].aligner for index in range(2)] == [POCKETSPHINX, NET]
    assert all(entry.seconds > 1 and entry.gender == "female" for entry in found.values())
    assert len(Dataset(out).phones(found["sound__1"])[1]) > 100


def test_options_that_do_not_go_together_are_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for arguments, said in (
        ((folder, "-o", out, "--synthetic", "1"), "cannot use --synthetic or --aligner with --layout generic"),
        ((folder, "--layout", "speech", "-o", out, "--again"), "cannot use --again without a net to align with"),
        ((tmp_path, "--layout", "speech", "-o", out), "no table of the clips:"),
        ((folder, "--layout", "speech", "-o", tmp_path / "o", "--aligner", "none"), "not a prepared data set"),
        ((folder, "--layout", "words", "-o", out), "unknown layout 'words'; choose one of generic, grid, lrs2, speech"),
    ):
        assert execute(monkeypatch, "prepare-dataset", *arguments) == 2
        told = capsys.readouterr().err
        assert f"error: {said}" in told
        assert told.strip().count("\n") == 0


def test_speakers_that_are_kept_out_are_for_test_alone() -> None:
    rows = [finish.Row(f"{s}/{k}", f"{s}/{k}", f"p{s}", 75 + s, "", []) for s in range(5) for k in range(3)]
    rows[3].dropped = "another sound"
    notes = finish._assign(rows, [row.clip for row in rows], ("p1", "nobody"), ())
    assert notes == ["nobody is called nobody, who should be kept out"]
    assert [row.part for row in rows[3:6]] == ["", "test", "test"]
    others = {part: {row.speaker for row in rows if row.part == part} for part in ("train", "validation")}
    assert [len(people) for people in others.values()] == [2, 1]
    assert "p1" not in others["train"] | others["validation"]


def test_who_is_named_for_validation_is_and_all_others_are_trained_on() -> None:
    rows = [finish.Row(f"{s}/{k}", f"{s}/{k}", f"p{s}", 75 + s, "", []) for s in range(5) for k in range(3)]
    rows[0].dropped = "another sound"
    assert finish._assign(rows, [row.clip for row in rows], ("p1",), ("p0", "p3", "p9")) == [
        "nobody is called p9, who should be kept out"
    ]
    parts = {f"p{s}": [row.part for row in rows if row.speaker == f"p{s}"] for s in range(5)}
    assert parts == {
        "p0": ["", "validation", "validation"], "p1": ["test"] * 3, "p2": ["train"] * 3,
        "p3": ["validation"] * 3, "p4": ["train"] * 3,
    }  # fmt: skip


def test_people_and_corpora_are_told() -> None:
    assert cli._about("grid", {"gender": "Woman"})["gender"] == "female"
    assert cli._about("grid", {"gender": "man"}) == {
        "corpus": "GRID audiovisual sentence corpus", "language": "en", "gender": "male",
    }  # fmt: skip
    assert cli._about("generic", {}) == {"corpus": "", "language": "", "gender": ""}


class Synthesiser:
    """In the place of espeak-ng, which need not be installed: a second of noise, and four sounds in it."""

    def speak(self, *_: object) -> tuple[np.ndarray, list[Segment]]:
        noise = 0.1 * np.random.default_rng(0).standard_normal(16_000)
        return noise.astype(np.float32), [Segment(name, 0.2 * i, 0.2 * i + 0.2) for i, name in enumerate("samo")]


def test_texts_of_people_to_train_on_are_synthesised_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "Espeak", Synthesiser)
    monkeypatch.setattr(synthetic, "speak_flite", Synthesiser().speak)
    texts = {part: f"said by {part}" for part in ("train", "validation")}
    table = [Row("f", CORPUS, "en", speaker(part), "", text) for part, text in texts.items()]
    for _ in range(2):
        hours = synthetic.make_all(table, tmp_path, 10 / 3600, SPEC)
        assert hours == {"espeak-ng": pytest.approx(6 / 3600), "flite": pytest.approx(4 / 3600)}
    entries = Dataset(tmp_path).spoken("train")
    assert len(entries) == 10
    assert {entry.text for entry in entries} == {texts["train"]}
    assert {entry.corpus for entry in entries} == {"espeak-ng", "flite"}
    with pytest.raises(MediaError, match="no English texts"):
        synthetic.make_all(table[1:], tmp_path / "none", 1, SPEC)


def test_the_template_is_made_of_prepared_faces(tmp_path: Path) -> None:
    face = mean_face(faces_in(Dataset(filmed(tmp_path, 2, held=1))))
    assert np.abs(face - TEMPLATE)[:, :2].mean() < 0.01


def test_a_clip_as_filmed_has_its_offset_again(tmp_path: Path) -> None:
    dataset = Dataset(filmed(tmp_path, 2, held=1))
    finish._write_audio(tmp_path, finish.Row("t0", "t0", "p0", 50, "", [], offset_ms=40.0))
    entry = replace(dataset.entries[0], offset_ms=40.0)
    clip, step = dataset.clip_as_filmed(entry), dataset.clip(entry)
    assert len(clip.audio) == len(step.audio)
    assert np.array_equal(clip.audio[640:], step.audio[:-640])  # it came 40 ms late
    assert clip.words == [(40, 520, "sil"), (520, 2040, "bin")]
    assert np.array_equal(clip.motion, step.motion)


def test_tracks_of_one_name_in_two_folders_are_told_apart(tmp_path: Path) -> None:
    one, other = filmed(tmp_path / "one", 2, held=1), filmed(tmp_path / "other", 2, held=1)
    names = [entry.name for entry in Dataset(one, other, heard(tmp_path / "heard").roots[0]).entries]
    assert len(set(names)) == len(names) == 16
    assert "k3" in names
    assert Dataset(one).clip(Dataset(one).entries[0]).name == "t0"
    assert np.array_equal(*(Dataset(one, other).clip(entry).motion for entry in Dataset(one, other).part("train")))
