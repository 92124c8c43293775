"""Train the motion net for any voice and write its bundle.

``python -m engines.mouthbank.train_voice --data CLIPS --cache LANDMARKS --speech SPEECH_CACHE --net runs/speech
--offsets runs/mouthbank/offsets.json --out runs/voice``

First the teacher; then the motion net with the speech net in it, which learns along, held to its phonemes. That one may
be of an earlier run (``--net``), and stay as it is for ``--tune-from`` steps. OFFSETS comes from
``engines.mouthbank.train``. A run that was broken off goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from engines.common.grid import Clip
from engines.common.loop import Losses, Plan, Trainer
from engines.common.metrics import lagged_correlation, openings
from engines.mouthbank.align import aligned
from engines.mouthbank.data import Basis, Batches, MotionLoss, make_basis
from engines.mouthbank.export import GRID, export_bundle
from engines.mouthbank.teacher import Teacher
from engines.mouthbank.train import load_split, validate
from engines.mouthbank.voice_data import DistilledSpeech, TeacherTargets, teacher_loss, voice_loss
from engines.mouthbank.voice_net import VoiceNet, VoiceShape
from engines.speech.cache import Entry, load, read_index, usable
from engines.speech.corpus import FILMED
from engines.speech.data import AUGMENTATIONS, Speech
from engines.speech.evaluate import averaged, load_net
from engines.speech.network import STRIDE, SpeechNet, SpeechShape
from engines.speech.train import build_net as build_speech_net
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.inference.spec import DataSpec

CHECKED = 60  # held-out clips of other voices per validation
HEARD = {
    "Common Voice 13": ("CC0", "Common Voice, Mozilla, version 13, English"),
    "Common Voice 6.1": ("CC0", "Common Voice, Mozilla, version 6.1, 23 languages"),
    "speechocean762": ("free for commercial and other use (OpenSLR 101)", "Zhang et al., Interspeech 2021"),
    "espeak-ng": ("synthesised; text CC0", "espeak-ng 1.51"),
    "flite": ("synthesised; text CC0", "flite 2.2, voices of CMU"),
}


def train_teacher(teacher_targets: TeacherTargets, loss: MotionLoss, components: int, plan: Plan, out: Path) -> Teacher:
    """The teacher, from its checkpoint if that is complete."""
    trainer = Trainer(Teacher(components), plan, out)
    trainer.resume()
    trainer.run(lambda net, rng: teacher_loss(net, teacher_targets, loss, rng), lambda net: {})
    assert isinstance(trainer.average, Teacher)
    return trainer.average


def agreement(net: VoiceNet, teacher: Teacher, cache: Path, entries: list[Entry], spec: LogMelSpec) -> float:
    """Mean r of the lip opening between net and teacher on clips of voices kept out."""
    front_end, scores = LogMel(spec), []
    for entry in entries:
        log_power, labels = load(cache, entry.key)
        target = torch.from_numpy(teacher.teach(log_power, labels)[::STRIDE])
        mel = torch.from_numpy(front_end.compress(np.exp(log_power.astype(np.float32))))[None]
        with torch.no_grad():
            found = net.coefficients(mel, net.initial_state())[0][0, net.look_ahead :: STRIDE]
            pair = [openings(net.displacement(c[None])[0].numpy(), TEMPLATE) for c in (found, target[: len(found)])]
        scores.append(lagged_correlation([(pair[0], pair[1])], 0))
    return float(np.mean(scores)) if scores else 0.0


def build_net(hear: SpeechNet | None, speech: Speech, shape: VoiceShape, basis: Basis) -> VoiceNet:
    """A fresh motion net on a trained speech net, or on one that knows the bands' statistics alone."""
    net = VoiceNet(shape)
    hear = hear or build_speech_net(speech, shape.speech)
    net.hear.load_state_dict(hear.state_dict())
    net.basis.copy_(torch.from_numpy(basis.components))
    return net


def described(entries: list[Entry]) -> tuple[DataSpec, ...]:
    """What the bundle says it was trained on."""
    hours = {name: sum(e.seconds for e in entries if e.corpus == name) / 3600 for name in HEARD}
    heard = [
        DataSpec(name=name, licence=licence, citation=citation, hours=round(hours[name], 2))
        for name, (licence, citation) in HEARD.items()
        if hours[name] > 0
    ]
    return GRID, *heard


def train(
    data: Path, cache: Path, speech: Path, hear: SpeechNet | None, shape: VoiceShape, out: Path, plan: Plan,
    offsets: dict[str, float],
    tune_from: int = 0, teacher_steps: int = 1000, filmed_rows: int = 5, distilled_rows: int = 11, frames: int = 300,
    until: int | None = None, start: Path | None = None, augmentation: str = "mild",
) -> Trainer:  # fmt: skip
    """A whole run from clips and speech to bundle, or as far as step ``until``."""
    torch.set_num_threads(1)
    torch.manual_seed(plan.seed)
    spec = LogMelSpec(bands=shape.bands)
    clips: dict[str, list[Clip]] = load_split(data, cache)
    own = aligned(clips["train"], offsets)
    basis = make_basis(np.concatenate([clip.motion for clip in own]), shape.components)
    loss = MotionLoss(basis)
    teacher_plan = Plan(steps=teacher_steps, seed=plan.seed)
    teacher = train_teacher(
        TeacherTargets(own, speech, basis, spec), loss, shape.components, teacher_plan, out / "teacher"
    )
    # The filmed speaker is among them, or the speech net would forget his sounds, of which his own rows tell nothing.
    entries = [entry for entry in usable(read_index(speech)) if entry.corpus in (*HEARD, FILMED)]
    distilled = DistilledSpeech(
        speech,
        [entry for entry in entries if entry.part == "train"],
        spec,
        plan.seed,
        teacher,
        AUGMENTATIONS[augmentation],
    )
    held = [entry for entry in entries if entry.part == "held"]
    held = [held[i] for i in np.linspace(0, len(held) - 1, min(CHECKED, len(held))).astype(int)]
    filmed = Batches(own, basis, spec, filmed_rows, frames, plan.seed, AUGMENTATIONS[augmentation], own_every=3)

    def losses(net: nn.Module, rng: np.random.Generator) -> Losses:
        assert isinstance(net, VoiceNet)
        tuning = trainer.step >= tune_from
        net.hear.requires_grad_(tuning).train(tuning)
        return voice_loss(net, filmed, distilled, loss, rng, distilled_rows, frames)

    def check(net: nn.Module) -> dict[str, float]:
        assert isinstance(net, VoiceNet)
        others = {"others": round(agreement(net, teacher, speech, held, spec), 4)}
        return validate(net, clips["validation"], spec) | others

    fresh = build_net(hear, distilled, shape, basis)
    if start is not None:
        fresh.load_state_dict(averaged(start))
    trainer = Trainer(fresh, plan, out)
    trainer.log({"resumed": trainer.resume(), "own": len(own), "heard": len(entries), "held": len(held)})
    trainer.run(losses, check, until)
    assert isinstance(trainer.average, VoiceNet)
    for frames_ahead in shape.look_aheads:
        folder = out / f"bundle-{frames_ahead * spec.hop * 1000 // spec.rate}"
        export_bundle(trainer.average.ahead(frames_ahead), spec, folder, "2.0.0", described(entries))
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description="Train mouthbank's motion net for any voice.")
    parser.add_argument("--data", type=Path, required=True, help="folder of talking clips")
    parser.add_argument("--cache", type=Path, required=True, help="folder with their landmarks")
    parser.add_argument("--speech", type=Path, required=True, help="cache of engines.speech.prepare")
    parser.add_argument("--net", type=Path, help="run of engines.speech.train to begin with")
    parser.add_argument("--offsets", type=Path, help="offsets.json of a run of engines.mouthbank.train")
    parser.add_argument("--out", type=Path, default=Path("runs/voice"))
    parser.add_argument("--steps", type=int, default=3500)
    parser.add_argument("--start", type=Path, help="an earlier run of this command whose weights to begin with")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="learning rate at its highest")
    parser.add_argument("--tune-from", type=int, default=0, help="the step from which the speech net learns too")
    parser.add_argument(
        "--augmentation", choices=tuple(AUGMENTATIONS), default="strong", help="what is done to the sound"
    )
    parser.add_argument("--width", type=int, default=VoiceShape.width)
    parser.add_argument("--speech-width", type=int, default=SpeechShape.width, help="without --net")
    parser.add_argument("--rows", type=int, nargs=2, default=(5, 11), help="filmed and distilled rows of a batch")
    parser.add_argument("--frames", type=int, default=300, help="length of a row")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    arguments = parser.parse_args()
    offsets = json.loads(arguments.offsets.read_text()) if arguments.offsets else {}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "command.json").write_text(json.dumps(sys.argv[1:]) + "\n")
    plan = Plan(steps=arguments.steps, seed=arguments.seed, rate=arguments.rate)
    hear = load_net(arguments.net) if arguments.net else None
    speech = hear.shape if hear else SpeechShape(width=arguments.speech_width)
    shape = VoiceShape(speech=speech, width=arguments.width)
    filmed_rows, distilled_rows = arguments.rows
    train(
        arguments.data,
        arguments.cache,
        arguments.speech,
        hear,
        shape,
        arguments.out,
        plan,
        offsets,
        arguments.tune_from,
        filmed_rows=filmed_rows,
        distilled_rows=distilled_rows,
        frames=arguments.frames,
        start=arguments.start,
        augmentation=arguments.augmentation,
    )


if __name__ == "__main__":
    main()
