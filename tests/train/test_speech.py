"""The speech net and the motion net on it, tiny: streaming is offline, training resumes, the bundle is the net."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tiny import SPEC, filmed, heard, listened, work  # noqa: E402

from engines.common.codecs import opus  # noqa: E402
from engines.common.dataset import ALIGNMENTS, Dataset  # noqa: E402
from engines.common.distributed import DistributedContext  # noqa: E402
from engines.common.loop import Plan  # noqa: E402
from engines.common.prepare.phones import append_row  # noqa: E402
from engines.common.results import NET, write_net  # noqa: E402
from engines.common.runs import train  # noqa: E402
from engines.common.speech import data as speech_data  # noqa: E402
from engines.common.speech.data import clip_weights  # noqa: E402
from engines.common.speech.inventory import INDEX, SIL, UNKNOWN  # noqa: E402
from engines.common.speech.losses import load_speech  # noqa: E402
from engines.common.speech.network import LOOK_AHEAD, STRIDE, SpeechNet, SpeechShape  # noqa: E402
from engines.common.speech.vectors import track_labels  # noqa: E402
from engines.mouthbank.ensemble import shipped  # noqa: E402
from engines.mouthbank.network import LOOK_AHEAD as WHOLE_LOOK_AHEAD  # noqa: E402
from engines.mouthbank.network import MotionNet, Shape  # noqa: E402
from engines.mouthbank.teacher import Teacher, TeacherShape, loudness  # noqa: E402
from engines.mouthbank.voice import TeacherEngine, TeacherSettings, VoiceEngine, VoiceSettings  # noqa: E402
from engines.mouthbank.voice_net import VoiceNet, VoiceShape  # noqa: E402
from engines.mouthbank.voices import compare  # noqa: E402
from engines.speech import engine as speech_engine  # noqa: E402
from engines.speech.evaluate import frame_figures, phone_errors, recognise, sequence  # noqa: E402
from realtime_dub.errors import ConfigError  # noqa: E402
from realtime_dub.inference.bundle import load_default  # noqa: E402

pytestmark = pytest.mark.usefixtures("few_sounds")

SHAPE = SpeechShape(width=8, dilations=(2, 4), dropout=0.0)


def randomised(net: torch.nn.Module) -> torch.nn.Module:
    """A net that has no zeros left to hide behind."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return net.eval()


@pytest.mark.parametrize("net", [SpeechNet(SHAPE), VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4)))])
def test_stream_is_offline_and_training_sees_the_same(net: torch.nn.Module) -> None:
    randomised(net)
    mel = torch.randn(1, 61, 80)
    with torch.no_grad():
        whole = net(mel, net.initial_state())[0]
        state, parts = net.initial_state(), []
        for chunk in mel.split([4, 1, 20, 36], 1):
            *results, state = net(chunk, state)
            parts.append(results[0])
        sparse = net.strided_forward(mel)
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)
    if isinstance(net, VoiceNet):
        for frames, (motion, _) in zip(net.shape.look_aheads, sparse[0], strict=True):
            dense = net.ahead(frames).coefficients(mel, net.initial_state())[0]
            assert torch.allclose(dense[:, ::STRIDE], motion, atol=1e-5)
    else:
        assert torch.allclose(whole[:, ::STRIDE], sparse, atol=1e-5)


def test_the_mean_of_nets_waits_for_the_one_that_looks_farthest_ahead() -> None:
    voice = randomised(VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4))))
    direct = randomised(MotionNet(Shape(width=8, dilations=(1, 2))))
    assert isinstance(voice, VoiceNet)
    assert isinstance(direct, MotionNet)
    voice.basis.copy_(torch.randn_like(voice.basis))
    direct.basis.copy_(torch.randn_like(direct.basis))
    nets = shipped([direct, voice], [3.0, 1.0])
    assert [net.look_ahead for net in nets.values()] == list(voice.shape.look_aheads)
    mel = torch.randn(1, 60, 80)
    with torch.no_grad():
        own, alone = (net(mel, net.initial_state())[0] for net in (voice.ahead(16), direct))
        for frames, net in nets.items():
            whole = net(mel, net.initial_state())[0]
            state, parts = net.initial_state(), []
            for chunk in mel.split([4, 1, 20, 35], 1):
                *results, state = net(chunk, state)
                parts.append(results[0])
            assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5), frames
        assert torch.allclose(whole[:, 8:], 0.25 * own[:, 8:] + 0.75 * alone[:, :-8], atol=1e-5)
        assert torch.equal(nets[4](mel, nets[4].initial_state())[0], voice.ahead(4)(mel, voice.initial_state())[0])


def test_sounds_in_the_pauses_leave_labels_true(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = heard(tmp_path)
    monkeypatch.setattr(speech_data, "DISTRACTED", 1.0)
    monkeypatch.setattr(speech_data, "NO_VOICE", 0.0)
    clips = speech_data.Speech(dataset, dataset.entries, SPEC, 0)
    rows = [clips.voices(np.random.default_rng(seed), 200) for seed in range(20)]
    assert all(power.shape == (200, SPEC.bands) and labels.shape == (200,) for power, labels in rows)
    power, labels = (np.concatenate(column) for column in zip(*rows, strict=True))
    tone = power[:, 8:14].max(1)  # around 300 Hz
    assert np.median(tone[labels == INDEX["a"]]) > 100 * np.median(tone[labels == INDEX["s"]])
    silent = labels == INDEX[SIL]
    assert 0.2 < silent.mean() < 0.9
    assert (power[silent].mean(1) > 1e-4).mean() > 0.1
    monkeypatch.setattr(speech_data, "NO_VOICE", 1.0)
    power, labels = clips.voices(np.random.default_rng(0), 200)
    assert power.max() > 0
    assert not labels.any()


def test_the_logit_of_speech_may_have_shares_of_its_own() -> None:
    voice, other = (randomised(VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4)))) for _ in range(2))
    assert isinstance(voice, VoiceNet)
    with torch.no_grad():
        next(other.parameters()).add_(0.5)
        mel, past = torch.randn(1, 40, 80), [*voice.initial_state(), *other.initial_state()]
        motion, speech, _ = shipped([voice, other], [1.0, 1.0], [0.0, 1.0])[8](mel, past)
        equal_motion, equal_speech, _ = shipped([voice, other], [1.0, 1.0])[8](mel, past)
        alone = other.ahead(8)(mel, other.initial_state())[1]
    assert torch.equal(motion, equal_motion)
    assert torch.allclose(speech, alone, atol=1e-6)
    assert not torch.allclose(speech, equal_speech, atol=1e-3)


def test_nothing_is_heard_ahead_of_its_time() -> None:
    net = randomised(VoiceNet(VoiceShape(SHAPE, width=8, dilations=(2, 4))))
    mel = torch.randn(1, 60, 80)
    other = mel.clone()
    other[:, 40:] += 1
    with torch.no_grad():
        a, b = (net.coefficients(m, net.initial_state())[0] for m in (mel, other))
    assert torch.equal(a[:, :40], b[:, :40])
    assert not torch.equal(a[:, 40], b[:, 40])
    assert LOOK_AHEAD < WHOLE_LOOK_AHEAD


def test_speech_net_learns_two_sounds(tmp_path: Path) -> None:
    dataset, out = heard(tmp_path / "data"), tmp_path / "run"
    plan = Plan(steps=60, warm_up=5, check_every=30, average=0.9, rate=1e-2)
    settings = speech_engine.Settings(batch=4, frames=100, width=8, dilations=(2, 4), dropout=0)
    made = speech_engine.SpeechEngine(settings, work(tmp_path / "data", out))
    train(made, plan, out, DistributedContext())
    net = load_speech(out)
    figures = frame_figures(recognise(net, dataset, dataset.spoken("validation"), SPEC))
    assert figures["frames"] > 0.6
    assert set(figures) == {"frames", "visemes", "closed_found", "silence", "phone_error"}
    on = speech_engine.SpeechEngine(settings.model_copy(update={"start": out}), work(tmp_path / "data", out)).network()
    assert all(torch.equal(a, b) for a, b in zip(on.state_dict().values(), net.state_dict().values(), strict=True))
    wider = settings.model_copy(update={"start": out, "width": 12})
    with pytest.raises(ConfigError, match=r"cannot begin with .*: its net has width 8; give the stage the same"):
        speech_engine.SpeechEngine(wider, work(tmp_path / "data", out)).network()


def test_phone_error_counts_edits() -> None:
    s, a, m, sil = (INDEX[name] for name in ("s", "a", "m", SIL))
    spoken = np.array([sil, s, s, s, a, a, a, m, m, m, sil])
    assert phone_errors(spoken, spoken) == (0, 3)
    assert phone_errors(spoken, np.array([sil, s, s, s, sil, sil, a, a, m, a, a])) == (1, 3)
    assert sequence(np.array([s, s, sil, sil, s, s]), 2) == [s]


def test_women_are_heard_as_much_as_men(tmp_path: Path) -> None:
    entries = heard(tmp_path).entries
    women = sum(
        w for w, e in zip(clip_weights(entries, [1.0] * len(entries)), entries, strict=True) if e.gender == "female"
    )
    assert women == pytest.approx(0.5)


def test_teacher_reads_vectors_and_relative_loudness_alone() -> None:
    teacher = randomised(Teacher(TeacherShape(3, width=8, vectors=6, dilations=(1, 2))))
    rng = np.random.default_rng(0)
    log_power = rng.normal(-9, 2, (41, 80)).astype(np.float16)
    vectors = rng.normal(0, 1, (20, 512)).astype(np.float16)
    found = teacher.teach(log_power, vectors)
    assert found.shape == (20, 3)
    louder = (log_power + np.float16(2)).astype(np.float16)
    assert np.allclose(teacher.teach(louder, vectors), found, atol=0.02)
    assert loudness(log_power).min() >= -1


def test_teacher_learns_what_the_vectors_tell_of_the_mouth(tmp_path: Path) -> None:
    root = filmed(tmp_path / "data", 8)
    listened(root)
    (tmp_path / "direct").mkdir()
    made = TeacherEngine(
        TeacherSettings(components=3, width=16, vectors=8),
        work(root, tmp_path / "teacher", direct=tmp_path / "direct" / NET),
    )
    plan = Plan(steps=60, warm_up=5, check_every=60, rate=5e-3)
    net = train(made, plan, tmp_path / "teacher", DistributedContext()).net
    assert made.check(net)["r"] > made.check(made.network())["r"] + 0.3


def test_vectors_are_learnt_beside_the_sounds(tmp_path: Path) -> None:
    heard(tmp_path)
    dataset = listened(tmp_path)
    (tmp_path / "phones" / "k0.npy").unlink()  # a clip that nobody could align is listened to all the same
    append_row(tmp_path / ALIGNMENTS, {"track": "k0", "seconds": 0.0, "score": 0.0, "sane": False})
    settings = speech_engine.Settings(batch=4, frames=100, width=16, dilations=(2, 4), vectors=4)
    made = speech_engine.SpeechEngine(settings, work(tmp_path, tmp_path / "speech"))
    rows = made.losses(made.network(), np.random.default_rng(0))
    assert set(rows) == {"phone", "vectors"}
    assert all(torch.isfinite(value) for value in rows.values())
    plan = Plan(steps=80, warm_up=5, check_every=80, rate=5e-3)
    net = train(made, plan, tmp_path / "speech", DistributedContext()).net
    assert made.check(net)["vectors"] > made.check(made.network())["vectors"] + 0.2
    known = track_labels(dataset, dataset.entries[0], False, 60)
    assert set(known) == {INDEX[SIL], UNKNOWN}
    assert load_speech(tmp_path / "speech").vector_map is not None


def test_trains_for_any_voice(tmp_path: Path) -> None:
    root = filmed(tmp_path / "data", 8, phones=True)
    heard(root)
    listened(root)
    hear = randomised(SpeechNet(replace(SHAPE, vectors=4)))
    for folder in ("speech", "direct", "teacher", "voice", "again"):
        (tmp_path / folder).mkdir()
    nets = {name: tmp_path / name / NET for name in ("speech", "direct", "teacher")}
    write_net(nets["speech"], hear)
    plan, context = Plan(steps=3, warm_up=1, check_every=3), DistributedContext()
    teacher = TeacherEngine(TeacherSettings(components=3, width=8, vectors=6), work(root, tmp_path / "teacher", **nets))
    train(teacher, plan, tmp_path / "teacher", context)
    small = {"width": 8, "dilations": (2,), "details": 2, "filmed_rows": 3, "taught_rows": 3, "frames": 60}
    settings = VoiceSettings(**small, tune_from=3)
    made = VoiceEngine(settings, work(root, tmp_path / "voice", **nets))
    net = train(made, plan, tmp_path / "voice", context).average
    assert isinstance(net, VoiceNet)
    assert all(torch.equal(a, b) for a, b in zip(net.hear.parameters(), hear.parameters(), strict=True))
    settings = VoiceSettings(**small, start=tmp_path / "voice")  # tuned from the first step on
    again = train(VoiceEngine(settings, work(root, tmp_path / "again", **nets)), plan, tmp_path / "again", context)
    assert isinstance(again.net, VoiceNet)
    assert not torch.equal(next(again.net.hear.parameters()), next(net.hear.parameters()))
    inside = load_speech(tmp_path / "again")
    assert torch.equal(inside.leave.weight, again.average.hear.leave.weight)


def test_bundles_are_compared_on_prepared_tracks(tmp_path: Path) -> None:
    dataset = Dataset(filmed(tmp_path, 3, held=1, phones=True))
    figures = compare(
        load_default("mouthbank"), dataset, dataset.part("validation"), {"p0": {"gender": "woman", "language": ""}}
    )
    assert figures["clips"] == 1
    assert figures["gender"] == {"woman": figures["clean"]}
    own = compare(load_default("mouthbank"), dataset, dataset.part("validation"))
    assert own["language"] == {"en": own["clean"]}


def test_opus_keeps_time() -> None:
    rng = np.random.default_rng(0)
    envelope = np.repeat(rng.random(50), 320)
    sound = (0.2 * envelope * np.sin(np.arange(16_000) * 0.2)).astype(np.float32)
    decoded = opus(sound)
    assert len(decoded) == len(sound)
    lags = range(-60, 61, 2)
    scores = [float(np.dot(sound[100:-100], np.roll(decoded, lag)[100:-100])) for lag in lags]
    assert abs(lags[int(np.argmax(scores))]) <= 2
