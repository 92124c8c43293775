"""The net on people it does not know: how well their mouths open, and how far the points are from theirs."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import torch

from engines.common import Array
from engines.common.dataset import Track
from engines.common.engine import Samples
from engines.common.video_metrics import correlation
from engines.landmark_dub.data import REST, Talk, talk_of
from engines.landmark_dub.network import LandmarkNet
from realtime_dub.audio.frontends.mfcc import Mfcc, MfccSpec
from realtime_dub.face.scheme68 import openness

SILENT = 50  # steps after which a mouth has come to rest
SHOWN = 3  # tracks


@dataclass(frozen=True, eq=False)
class Held:
    """A track to measure with."""

    name: str
    speaker: str
    talk: Talk
    audio: Array

    @classmethod
    def of(cls, track: Track, spec: MfccSpec) -> Held:
        return cls(track.entry.name, track.entry.speaker, talk_of(track, spec), track.audio)


def found(net: LandmarkNet, talk: Talk, spec: MfccSpec) -> Array:
    """The net's mouths (n - delay, 20, 2) for a voice and the resting face, from where mouths rest."""
    cepstra = Mfcc(spec).cepstra(talk.power)
    mouths = heard(net, cepstra, talk.resting)[net.shape.delay :]
    rest = heard(net, np.zeros((SILENT, spec.features), np.float32), talk.resting)[-1]
    return np.asarray(mouths - rest + REST, np.float32)


def heard(net: LandmarkNet, cepstra: Array, face: Array) -> Array:
    """Mouths (n, 20, 2) for cepstra (n, 12) and a face (48, 2) that stands still."""
    faces = torch.from_numpy(np.ascontiguousarray(np.broadcast_to(face, (len(cepstra), *face.shape))))
    with torch.no_grad():
        return np.asarray(net(torch.from_numpy(cepstra)[None], faces[None])[0][0])


def validate(net: LandmarkNet, held: list[Held], spec: MfccSpec) -> dict[str, float]:
    """r of the openness, mean over people; distance of the points as a share of a mouth's that stands still."""
    r: dict[str, list[float]] = defaultdict(list)
    distance: dict[str, list[float]] = defaultdict(list)
    for each in held:
        mouths = found(net, each.talk, spec)
        real = each.talk.mouth[: len(mouths)]
        r[each.speaker].append(correlation(openness(mouths), openness(real)))
        frozen = np.linalg.norm(real - real.mean(0), axis=-1).mean()
        distance[each.speaker].append(float(np.linalg.norm(mouths - real, axis=-1).mean() / frozen))
    return {"r": _over(r), "distance": _over(distance)}


def samples(net: LandmarkNet, held: list[Held], spec: MfccSpec) -> Samples:
    """The first tracks as TensorBoard shows them."""
    shown = Samples()
    for each in held[:SHOWN]:
        mouths = found(net, each.talk, spec)
        curves = {"real": openness(each.talk.mouth[: len(mouths)]), "found": openness(mouths)}
        shown.curves[f"openness/{each.name}"] = curves
        shown.sounds[f"sound/{each.name}"] = (each.audio, spec.rate)
    return shown


def _over(people: dict[str, list[float]]) -> float:
    return round(float(np.mean([np.mean(each) for each in people.values()])), 4)
