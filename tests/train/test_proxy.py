"""The proxy for free speech: the teacher agrees with itself, a bundle with its net, and strangers are drawn fairly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_speech import SHAPE, randomised  # noqa: E402
from tiny import SPEC, filmed, heard, listened  # noqa: E402

from engines.common.dataset import Dataset, Entry  # noqa: E402
from engines.common.people_figures import estimate  # noqa: E402
from engines.common.speech.inventory import INDEX, SIL  # noqa: E402
from engines.mouthbank.export import export_bundle  # noqa: E402
from engines.mouthbank.proxy import (  # noqa: E402
    Judge,
    Mover,
    agreement,
    by_speaker,
    chosen,
    filmed_entries,
    measure,
    of_bundle,
    of_net,
    over_speakers,
    product,
    strangers,
)
from engines.mouthbank.teacher import Teacher, TeacherShape  # noqa: E402
from engines.mouthbank.voice_net import VoiceNet, VoiceShape  # noqa: E402
from realtime_dub.errors import ConfigError  # noqa: E402


def tiny_net() -> VoiceNet:
    net = randomised(VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4), components=3)))
    assert isinstance(net, VoiceNet)
    net.basis.copy_(torch.randn_like(net.basis) * 0.01)
    return net


def tiny_teacher() -> Teacher:
    teacher = randomised(Teacher(TeacherShape(3, width=8, vectors=6, dilations=(1, 2))))
    assert isinstance(teacher, Teacher)
    teacher.basis.copy_(torch.randn_like(teacher.basis) * 0.01)
    return teacher


def as_taught(dataset: Dataset, teacher: Teacher, entries: list[Entry]) -> Mover:
    """A net that moves as the teacher does, clip after clip."""
    taught = iter([teacher.moved(dataset.power(entry), dataset.vectors(entry)) for entry in entries])
    return lambda mel: np.repeat(next(taught), 2, 0)[: len(mel) - 8]


def test_who_moves_as_the_teacher_is_in_full_agreement(tmp_path: Path) -> None:
    heard(tmp_path)
    dataset, teacher, trust = listened(tmp_path), tiny_teacher(), estimate([0.7, 0.9])
    entries = dataset.entries[10:]
    same = Judge(dataset, teacher, as_taught(dataset, teacher, entries), SPEC)
    for told in same.heard(entries):
        assert told["r"] == pytest.approx(1, abs=1e-4)
        assert told["r_shuffled"] < 0.99
    judge = Judge(dataset, teacher, of_net(tiny_net()), SPEC)
    found = measure(judge, entries, trust, SPEC)["english, speakers kept out"]
    assert (found["clips"], found["speakers"]) == (2, 2)
    clean = found["clean"]
    assert isinstance(clean, dict)
    assert clean["r"] < 0.99
    assert clean["expected"] == pytest.approx(clean["r_spoken"] * trust.mean, abs=1e-3)
    assert clean != found["pink_noise_10_db"]


def test_filmed_strangers_tell_what_the_product_misses(tmp_path: Path) -> None:
    filmed(tmp_path)
    dataset, teacher = listened(tmp_path), tiny_teacher()
    entries = filmed_entries(dataset, ["p0", "p2"])
    assert {entry.speaker for entry in entries} == {"p0", "p2"}
    same = strangers(Judge(dataset, teacher, as_taught(dataset, teacher, entries), SPEC), entries)
    for own in same.values():  # a net that is the teacher: what is expected of it is what it has
        assert own["net_teacher"] == pytest.approx(1, abs=1e-4)
        assert own["net_mouth"] == pytest.approx(own["teacher_mouth"], abs=1e-4)
        assert own["missed"] == pytest.approx(0, abs=1e-4)
    with pytest.raises(ConfigError, match="q7"):
        filmed_entries(dataset, ["p0", "q7"])


def test_a_speaker_counts_once_and_both_errors_are_in_the_product() -> None:
    entries = [Entry(f"t{k}", speaker, "validation") for k, speaker in enumerate("aab")]
    found = over_speakers(by_speaker(entries, [{"r": 0.2}, {"r": 0.4}, {"r": 0.9}]))["r"]
    assert found.mean == pytest.approx(0.6)
    assert found.error == pytest.approx(0.3)
    told = product(found, estimate([0.7, 0.9]))
    assert told["expected"] == pytest.approx(0.48)
    assert told["expected_error"] == pytest.approx(np.hypot(0.3 * 0.8, 0.6 * 0.1))


def test_a_bundle_moves_as_its_net(tmp_path: Path) -> None:
    net = tiny_net().ahead(8)
    export_bundle(net, SPEC, tmp_path / "bundle", "1.0.0", ())
    mel = np.random.default_rng(0).normal(0, 1, (75, 80)).astype(np.float32)
    alone, shipped = of_net(net)(mel), of_bundle(tmp_path / "bundle")(mel)
    assert len(alone) == 75 - 8
    assert np.allclose(alone, shipped, atol=1e-5)


def test_speech_is_what_lies_between_the_first_sound_and_the_last() -> None:
    labels = np.array([INDEX[SIL]] * 5 + [INDEX["a"]] * 10 + [INDEX[SIL]] * 5)
    a = np.sin(np.arange(20.0))
    b = np.where((np.arange(20) >= 5) & (np.arange(20) < 15), a, -a)
    whole, spoken = agreement(a, b, labels)
    assert spoken == pytest.approx(1)
    assert whole < 0.9
    assert agreement(a, b, np.zeros(20, np.uint8))[1] == 0


def test_strangers_are_drawn_alike_each_time() -> None:
    def stranger(i: int, language: str, part: str, corpus: str = "Common Voice 6.1") -> Entry:
        gender = "female" if i % 3 else "male"
        told = {"corpus": corpus, "language": language, "gender": gender, "seconds": 3.0, "sane": True}
        return Entry(f"{language}{i}", f"s{i}", part, **told)  # type: ignore[arg-type]

    entries = [stranger(i, "en", "validation") for i in range(60)] + [stranger(i, "en", "train") for i in range(60, 90)]
    entries += [stranger(i, "fi", "test") for i in range(9)]
    entries += [stranger(i, "fi", "test", "espeak-ng") for i in range(9, 12)]
    groups = chosen(entries)
    assert groups == chosen(entries)
    assert {name: len(clips) for name, clips in groups.items()} == {
        "english, speakers kept out": 40, "women": 40, "men": 20, "language kept out fi": 9,
    }  # fmt: skip
    assert all(entry.part == "validation" for entry in groups["women"])
