"""The proxy for free speech: the teacher agrees with itself, a bundle with its net, and strangers are drawn fairly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from test_speech import SHAPE, randomised  # noqa: E402
from tiny import SPEC, heard, listened  # noqa: E402

from engines.common import Array  # noqa: E402
from engines.common.dataset import Entry  # noqa: E402
from engines.common.speech.inventory import INDEX, SIL  # noqa: E402
from engines.mouthbank.export import export_bundle  # noqa: E402
from engines.mouthbank.proxy import TEACHER, Judge, chosen, clip_agreement, measure, of_bundle, of_net  # noqa: E402
from engines.mouthbank.teacher import Teacher, TeacherShape  # noqa: E402
from engines.mouthbank.voice_net import VoiceNet, VoiceShape  # noqa: E402


def tiny_net() -> VoiceNet:
    net = randomised(VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4), components=3)))
    assert isinstance(net, VoiceNet)
    net.basis.copy_(torch.randn_like(net.basis) * 0.01)
    return net


def test_who_moves_as_the_teacher_is_in_full_agreement(tmp_path: Path) -> None:
    heard(tmp_path)
    dataset = listened(tmp_path)
    net, teacher = tiny_net(), randomised(Teacher(TeacherShape(3, width=8, vectors=6, dilations=(1, 2))))
    assert isinstance(teacher, Teacher)
    judge = Judge(dataset, teacher, net, SPEC)
    entries = dataset.entries[10:]
    taught = iter([teacher.teach(dataset.power(entry), dataset.vectors(entry)) for entry in entries])

    def as_taught(mel: Array) -> Array:
        with torch.no_grad():
            at_vectors = torch.from_numpy(next(taught))[None]
            return np.asarray(net.displacement(at_vectors)[0].repeat_interleave(2, 0)[: len(mel) - 8].numpy())

    same = judge.figures(as_taught, entries, lambda power: power)
    assert same["r"] == pytest.approx(1, abs=1e-4)
    assert same["expected"] == pytest.approx(TEACHER, abs=1e-4)
    found = measure(judge, of_net(net), entries, SPEC)["english, speakers kept out"]
    assert found["clips"] == 2
    assert found["clean"]["r"] < 0.99  # type: ignore[index]
    assert found["clean"] != found["pink_noise_10_db"]


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
    whole, spoken = clip_agreement(a, b, labels)
    assert spoken == pytest.approx(1)
    assert whole < 0.9
    assert clip_agreement(a, b, np.zeros(20, np.uint8))[1] == 0


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
