"""The speech net's inventory, labels, corpora and augmentation: what needs neither torch nor a synthesiser."""

# ruff: noqa: RUF001

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.common.dataset import ALIGNMENTS, Dataset, usable
from engines.common.dataset import INDEX as TRACKS
from engines.common.prepare.phones import append_row, frame_classes, store, write_audio
from engines.common.speech.corpus import Row, read_phones, read_table, words_of
from engines.common.speech.force_align import Segment, judge, spread
from engines.common.speech.inventory import (
    ARPABET,
    CLASSES,
    INDEX,
    SIL,
    VISEME_OF,
    VISEMES,
    from_arpabet,
    from_ipa,
    viseme_of,
)
from engines.common.speech.rooms import music, reverberate, stretch
from engines.common.speech.synthesise import flite_segments
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

pytestmark = pytest.mark.computes

SPEC = LogMelSpec()


def test_every_class_has_one_viseme_and_silence_is_zero() -> None:
    named = [name for names in VISEMES.values() for name in names]
    assert sorted(named) == sorted(CLASSES)
    assert len(VISEME_OF) == len(CLASSES)
    assert INDEX[SIL] == 0
    assert viseme_of("m") == viseme_of("p") == "closed"
    assert {name for names in ARPABET.values() for name in names} <= set(CLASSES)


@pytest.mark.parametrize(
    ("ipa", "classes"),
    [
        ("tʃ", ("tʃ",)), ("eɪ", ("e", "ɪ")), ("uː", ("u",)), ("ç", ("ʃ",)), ("ɑ̃", ("ɑ",)), ("ts", ("t", "s")),
        ("ˈ", ()), ("", ()), ("g", ("ɡ",)), ("ɹ", ("r",)), ("ə l".replace(" ", ""), ("ə", "l")),
    ],
)  # fmt: skip
def test_ipa_goes_to_classes(ipa: str, classes: tuple[str, ...]) -> None:
    assert from_ipa(ipa) == classes


def test_arpabet_goes_to_classes() -> None:
    assert from_arpabet("OW1") == ("o", "ʊ")
    assert from_arpabet("HH_B") == ("h",)
    assert from_arpabet("+SPN+") == (SIL,)


def test_labels_change_at_frame_centres() -> None:
    labels = frame_classes([Segment("m", 0.02, 0.05), Segment("a", 0.05, 0.081)], 12)
    names = [CLASSES[label] for label in labels]
    assert names == [SIL] * 2 + ["m"] * 3 + ["a"] * 4 + [SIL] * 3


@given(st.floats(0, 5), st.floats(0.01, 1), st.lists(st.sampled_from(CLASSES), min_size=1, max_size=4))
def test_a_phone_is_spread_over_all_its_time(start: float, length: float, names: list[str]) -> None:
    segments = spread(tuple(names), start, start + length)
    assert [segment.name for segment in segments] == names
    assert segments[0].start == start
    assert segments[-1].end == pytest.approx(start + length)
    assert all(a.end == pytest.approx(b.start) for a, b in pairwise(segments))


def test_alignment_is_judged() -> None:
    good = judge(
        [("SIL", 0, 20, -400), ("B", 20, 8, -80), ("IH", 28, 9, -90), ("N", 37, 10, -100), ("SIL", 47, 9, -180)]
    )
    assert good is not None
    assert good.sane
    # 100 ms of silence were put before the clip, and a frame's middle is 12.8 ms after its start.
    spoken = [segment for segment in good.segments if segment.name == "b"]
    assert spoken[0].start == pytest.approx(0.2 + 0.0078 - 0.1)
    hasty = judge([("B", 0, 3, -30), ("IH", 3, 3, -30), ("N", 6, 3, -30), ("S", 9, 90, -900)])
    assert hasty is not None
    assert not hasty.sane
    assert judge([("SIL", 0, 90, -900)]) is None


def test_flite_times_are_read() -> None:
    segments = flite_segments("pau:0.160 hh:0.250 ow:0.450")
    assert [s.name for s in segments] == [SIL, "h", "o", "ʊ"]
    assert segments[1].start == pytest.approx(0.16)
    assert segments[-1].end == pytest.approx(0.45)


def test_a_prepared_folder_keeps_sound_powers_classes_and_index(tmp_path: Path) -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal(8000)).astype(np.float32)
    sound = write_audio(tmp_path, "k49", noise)
    assert np.abs(sound - noise).max() <= 0.5 / 32768
    assert np.array_equal(write_audio(tmp_path, "k49", sound * 1.0), sound)  # 16 bits stay what they are
    loud = np.array([-1.5, -1, 0.99997, 1.5], np.float32)
    assert write_audio(tmp_path, "loud", loud).tolist() == [-1, -1, 32767 / 32768, 32767 / 32768]
    store(tmp_path, "k49", sound, [Segment("s", 0.1, 0.3)], SPEC)
    for i in range(50):
        append_row(tmp_path / TRACKS, {"track": f"k{i}", "speaker": "s", "part": "train", "corpus": "c"})
        append_row(tmp_path / ALIGNMENTS, {"track": f"k{i}", "seconds": 1.0, "score": float(i), "sane": i != 7})
    dataset = Dataset(tmp_path)
    entry = dataset.entries[49]
    log_power, labels = dataset.phones(entry)
    assert np.array_equal(dataset.audio(entry), sound)
    assert np.allclose(log_power, np.log(LogMel(SPEC).power(sound)), atol=0.01)
    assert (labels == INDEX["s"]).sum() == 20
    kept = {one.track for one in usable(dataset.entries)}
    assert kept == {one.track for one in dataset.spoken("train")}
    assert "k7" not in kept
    assert "k0" not in kept  # the worst score
    assert "k49" in kept


def test_speakers_are_held_out_whole(tmp_path: Path) -> None:
    rows = ["file\tcorpus\tlanguage\tspeaker\tgender\ttext"]
    rows += [f'a/{i}.opus\tCommon Voice 13\ten\ts{i % 40}\tfemale\tDon’t say "no".' for i in range(120)]
    rows += ["l/1.opus\tLibriSpeech\ten\tx\t\tyes"]
    (tmp_path / "transcripts.tsv").write_text("\n".join(rows) + "\n", "utf-8")
    table = read_table(tmp_path)
    assert table[-1].part == "test"
    parts: dict[str, set[str]] = {}
    for row in table[:-1]:
        parts.setdefault(row.speaker, set()).add(row.part)
    assert all(len(part) == 1 for part in parts.values())
    assert {part for own in parts.values() for part in own} == {"train", "validation"}
    assert words_of(table[0].text) == ["don't", "say", "no"]
    assert Row("a/b.opus", "c", "en", "s", "", "").key == "a__b"


def test_reference_phones_are_grouped_by_word(tmp_path: Path) -> None:
    path = tmp_path / "phones"
    path.write_text("1.0\tW_B IY0_E\n1.1\tK_B\n2.0\tS_B\n", "utf-8")
    assert read_phones(path) == {"1": [["W_B", "IY0_E"], ["K_B"]], "2": [["S_B"]]}


@settings(max_examples=20, deadline=None)
@given(st.floats(0.1, 1.0), st.floats(0.0, 1.0))
def test_a_room_adds_nothing_before_the_sound_and_dies_away(decay: float, wet: float) -> None:
    power = np.zeros((120, 8), np.float32)
    power[10] = 1
    out = reverberate(power, decay, wet)
    assert not out[:10].any()
    assert np.allclose(out[10], 1)
    assert (np.diff(out[11:], axis=0) <= 0).all()
    assert out[11:].sum() <= wet * 8 + 1e-4


@settings(max_examples=20, deadline=None)
@given(st.floats(0.6, 1.6))
def test_labels_are_stretched_with_the_sound(speed: float) -> None:
    labels = np.repeat(np.arange(10, dtype=np.uint8), 10)
    power = np.repeat(labels[:, None].astype(np.float32), 3, 1)
    out, own = stretch(power, labels, speed)
    assert len(out) == len(own) == pytest.approx(99 / speed, abs=1.01)
    assert np.abs(out[:, 0] - own).max() <= 0.51


def test_music_is_of_unit_power() -> None:
    power = music(SPEC, np.random.default_rng(1), 1.0)
    assert power.mean() == pytest.approx(1, rel=1e-3)
    assert power.shape[1] == SPEC.bands
