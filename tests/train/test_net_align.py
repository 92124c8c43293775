"""Alignment by the speech net: borders, least durations, pauses left out, and what becomes of other languages."""

# ruff: noqa: RUF001

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from test_speech import SHAPE  # noqa: E402
from tiny import SPEC, heard, work  # noqa: E402

from engines.common.dataset import ALIGNMENTS, Dataset, Entry, read_entries, usable  # noqa: E402
from engines.common.dataset import INDEX as TRACKS  # noqa: E402
from engines.common.distributed import DistributedContext  # noqa: E402
from engines.common.loop import Plan  # noqa: E402
from engines.common.prepare.phones import NET, append_row, frame_classes, tidy  # noqa: E402
from engines.common.runs import train  # noqa: E402
from engines.common.speech.corpus import Row, read_table  # noqa: E402
from engines.common.speech.inventory import CLASSES, INDEX, SIL  # noqa: E402
from engines.common.speech.losses import load_speech  # noqa: E402
from engines.common.speech.net_align import (  # noqa: E402
    SHORTEST,
    SHORTEST_PAUSE,
    NetAligner,
    alignment_of,
    best_path,
    frequency_of,
    runs_of,
)
from engines.common.speech.network import SpeechNet  # noqa: E402
from engines.common.speech.pronounce import Pronouncer, Word, words_in  # noqa: E402
from engines.common.speech.strangers import groups  # noqa: E402
from engines.common.speech.synthesise import Espeak  # noqa: E402
from engines.speech.check_align import agreement, borders  # noqa: E402
from engines.speech.engine import Settings, SpeechEngine  # noqa: E402
from realtime_dub.errors import DependencyError  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_sounds")

Floats = npt.NDArray[np.float32]
WORDS: list[Word] = [[("p",), ("a",)], [("t",), ("o", "ʊ")]]


def posteriors_of(*stretches: tuple[str, int], right: float = 0.7, seed: int = 0) -> Floats:
    """Probabilities of a sure but imperfect net."""
    labels = np.concatenate([np.full(count, INDEX[name]) for name, count in stretches])
    noise = np.random.default_rng(seed).dirichlet(np.ones(len(CLASSES)), len(labels))
    return ((1 - right) * noise + right * np.eye(len(CLASSES))[labels]).astype(np.float32)


def espeak() -> Espeak:
    try:
        return Espeak()
    except DependencyError:
        pytest.skip("espeak-ng is not here")


def test_borders_are_found_to_the_frame() -> None:
    told = [(SIL, 12), ("p", 7), ("a", 15), (SIL, 9), ("t", 4), ("o", 6), ("ʊ", 11), (SIL, 20)]
    posteriors = posteriors_of(*told)
    found = alignment_of(np.log(posteriors), posteriors, runs_of(WORDS))
    assert found is not None
    assert [segment.name for segment in found.segments] == [name for name, _ in told]
    labels = frame_classes(found.segments, len(posteriors))
    assert [CLASSES[label] for label in labels] == [name for name, count in told for _ in range(count)]
    # Frames are centred on their index.
    assert found.segments[1].start == pytest.approx(0.115)
    assert found.rate == pytest.approx(4 / 0.43)
    assert found.score == pytest.approx(np.log(0.7), abs=0.05)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(13, 90), st.floats(0.1, 3))
def test_every_phone_has_its_turn_and_its_least_time(seed: int, frames: int, sharpness: float) -> None:
    scores = np.random.default_rng(seed).normal(0, sharpness, (frames, len(CLASSES)))
    runs = runs_of(WORDS)
    path = best_path(scores, runs)
    assert path is not None
    assert (np.diff(path) >= 0).all()
    lengths = np.bincount(path, minlength=len(runs))
    for run, length in zip(runs, lengths, strict=True):
        assert length >= run.least or (run.name == SIL and length == 0)


def test_a_path_is_the_best_there_is() -> None:
    """Against a search over all borders of two phones without pauses."""
    rng = np.random.default_rng(3)
    scores = rng.normal(0, 1, (9, len(CLASSES)))
    runs = runs_of([[("s",), ("i",)]])
    path = best_path(scores, runs)
    assert path is not None
    totals = {at: scores[:at, INDEX["s"]].sum() + scores[at:, INDEX["i"]].sum() for at in range(SHORTEST, 7)}
    got = sum(scores[i, INDEX[runs[r].name]] for i, r in enumerate(path))
    assert got >= max(totals.values()) - 1e-5


def test_pauses_are_taken_where_they_are_and_left_out_where_not() -> None:
    fluent = posteriors_of(("p", 6), ("a", 8), ("t", 5), ("o", 6), ("ʊ", 6))
    path = best_path(np.log(fluent), runs_of(WORDS))
    assert path is not None
    assert {runs_of(WORDS)[run].name for run in path} == {"p", "a", "t", "o", "ʊ"}
    halting = posteriors_of(("p", 6), ("a", 8), (SIL, SHORTEST_PAUSE), ("t", 5), ("o", 6), ("ʊ", 6))
    path = best_path(np.log(halting), runs_of(WORDS))
    assert path is not None
    assert [runs_of(WORDS)[run].name for run in path].count(SIL) == SHORTEST_PAUSE


def test_a_reference_is_compared_frame_by_frame() -> None:
    told = [(SIL, 12), ("p", 7), ("a", 15), (SIL, 9)]
    labels = posteriors_of(*told).argmax(1)
    later = posteriors_of((SIL, 12), ("p", 7), ("a", 17), (SIL, 7))
    aligner = NetAligner(SpeechNet(SHAPE), np.full(len(CLASSES), 1 / len(CLASSES)), SPEC)
    assert borders(aligner, later, labels).tolist() == [0, 0, 2]
    frames, visemes, speech = agreement(later.argmax(1), labels)
    assert frames == visemes == 1  # of the frames of speech in the reference
    assert speech == pytest.approx(1 - 2 / 43)


def test_what_cannot_have_been_said_is_not_aligned() -> None:
    posteriors = posteriors_of(("p", 9))
    assert best_path(np.log(posteriors), runs_of(WORDS)) is None
    assert best_path(np.log(posteriors), runs_of([])) is None
    assert best_path(np.log(posteriors[:0]), runs_of(WORDS)) is None
    wrong = posteriors_of(*[(name, 4) for name in "szfmnvlrkxhj"], right=0.9)
    found = alignment_of(np.log(wrong + 1e-3), wrong, runs_of(WORDS * 3))
    assert found is not None
    assert not found.sane


def test_ipa_is_read_word_by_word() -> None:
    words = words_in("h_ə_l_ˈoʊ (en)_tʃ_iː_z a_l_l_a_ n_ˈø_ˌø")
    assert words == [
        [("h",), ("ə",), ("l",), ("o", "ʊ")],
        [("tʃ",), ("i",), ("z",)],
        [("a",), ("l",), ("a",)],
        [("n",), ("ø",)],
    ]
    assert words_in("m_ˈaɜ", {"ɜ": ""}) == [[("m",), ("a",)]]
    assert words_in("_ ˈ") == []


def test_text_fits_the_times_of_its_synthesiser() -> None:
    voice = espeak()
    pronouncer = Pronouncer(voice)
    for language, text in (("en", "Blue boats were moving slowly past the harbour."), ("it", "Buongiorno, come stai?")):
        sound, segments = voice.speak(text, {"en": "en-us"}.get(language, language), 150, 50, 50)
        labels = frame_classes(segments, len(sound) // 160)
        sure = posteriors_of(*[(CLASSES[label], 1) for label in labels], right=0.8)
        words = pronouncer.readings(text, language)[0]
        found = alignment_of(np.log(sure), sure, runs_of(words))
        assert found is not None
        assert found.sane
        assert (frame_classes(found.segments, len(labels)) == labels).mean() > 0.85
    assert pronouncer.readings("荷物", "ja") == []
    assert pronouncer.readings("...", "de") == []


def test_a_trained_net_aligns_with_its_look_ahead_taken_off(tmp_path: Path) -> None:
    dataset, out = heard(tmp_path / "data"), tmp_path / "run"
    plan = Plan(steps=60, warm_up=5, check_every=60, average=0.9, rate=1e-2)
    settings = Settings(batch=4, frames=100, width=8, dilations=(2, 4), dropout=0)
    train(SpeechEngine(settings, work(tmp_path / "data", out)), plan, out, DistributedContext())
    frequency = frequency_of(dataset.phones(entry)[1] for entry in dataset.entries[:8])
    aligner = NetAligner(load_speech(out), frequency, SPEC)
    log_power, labels = dataset.phones(dataset.entries[10])
    posteriors = aligner.posteriors(np.exp(log_power.astype(np.float32)))
    assert len(posteriors) == len(labels)
    found = aligner.align_heard(posteriors, [[("a",), ("s",)]])
    assert found is not None
    names = [segment.name for segment in found.segments]
    assert names[names.index("a") :][:2] == ["a", "s"]
    assert found.segments[names.index("s")].start == pytest.approx(0.3, abs=0.031)


def write_wave(path: Path, sound: Floats) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes((sound * 32767).astype(np.int16).tobytes())


def test_other_languages_become_tracks(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    from engines.common.prepare.spoken import Preparer

    voice = espeak()
    rows = ["file\tcorpus\tlanguage\tspeaker\tgender\ttext"]
    for language, text in (("de", "Guten Morgen, wie geht es dir?"), ("fi", "Hyvää huomenta"), ("ja", "荷物")):
        write_wave(tmp_path / f"cv/{language}.wav", 0.5 * voice.speak(text, language, 150, 50, 50)[0])
        rows.append(f"cv/{language}.wav\tCommon Voice 6.1\t{language}\ts1\tfemale\t{text}")
    (tmp_path / "transcripts.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    aligner = NetAligner(SpeechNet(SHAPE), np.full(len(CLASSES), 1 / len(CLASSES)), SPEC)
    out = tmp_path / "prepared"
    for again in (False, False, True):
        Preparer(out, SPEC).add_by_net(tmp_path, read_table(tmp_path), aligner, again)
    # The second time nothing is aligned, the third time all again.
    assert [len((out / name).read_text().splitlines()) for name in (TRACKS, ALIGNMENTS)] == [2, 4]
    dataset = Dataset(out)
    entries = {entry.language: entry for entry in dataset.entries}
    assert set(entries) == {"de", "fi"}
    assert all(entry.aligner == NET and entry.seconds > 0 for entry in entries.values())
    assert entries["fi"].part == "test"
    log_power, labels = dataset.phones(entries["de"])
    assert len(log_power) == len(labels)
    assert abs(len(dataset.audio(entries["de"])) / SPEC.hop - len(labels)) < 3
    assert {INDEX["ɡ"], INDEX["u"]} <= set(labels)


def entry(track: str, language: str, part: str, score: float = 0.0, aligner: str = "net", corpus: str = "cv") -> Entry:
    told = {"corpus": corpus, "language": language, "seconds": 1.0, "score": score, "sane": True, "aligner": aligner}
    return Entry(track, f"s{track}", part, **told)  # type: ignore[arg-type]


def test_languages_are_kept_out_whole() -> None:
    parts = {language: Row("f", "c", language, "s", "", "").part for language in ("fi", "hi", "pt")}
    assert set(parts.values()) == {"test"}
    told = [entry("a", "fi", "test", corpus="espeak-ng"), entry("b", "de", "validation"), entry("a2", "hi", "test")]
    found = groups(told)
    assert [one.track for one in found["languages_kept_out"]] == ["a2"]  # real voices alone
    assert [one.track for one in found["language de"]] == ["b"]


def test_scores_are_compared_within_a_language_and_an_aligner() -> None:
    easy = [entry(f"e{i}", "en", "train", -15.0 - i, "pocketsphinx") for i in range(30)]
    hard = [entry(f"h{i}", "vi", "train", -2.0 - i / 100) for i in range(30)]
    kept = {one.track for one in usable(easy + hard)}
    assert len(kept) == 56
    assert not {"e29", "e28", "h29", "h28"} & kept


def test_the_last_alignment_of_a_track_holds_and_a_broken_row_does_not_count(tmp_path: Path) -> None:
    append_row(tmp_path / TRACKS, {"track": "k", "speaker": "s", "part": "train"})
    for seconds in (0.0, 2.5):
        append_row(tmp_path / ALIGNMENTS, {"track": "k", "seconds": seconds, "score": -1.0, "sane": seconds > 0})
    with (tmp_path / ALIGNMENTS).open("a") as stream:
        stream.write('{"track": "k", "seco')  # as if the writer had been killed
    assert [one.seconds for one in read_entries(tmp_path)] == [2.5]
    assert len(tidy(tmp_path / ALIGNMENTS)) == 2
    assert (tmp_path / ALIGNMENTS).read_text().endswith("}\n")
