"""The last layer of a voice net, learnt anew in closed form: the cheapest net that has learnt from other people.

All that comes before the layer stays as it is. What the layer was stands for some frames, so that few people change it
little; people are weighed as the batches of a training weigh them, in one measure.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engines.common import Array
from engines.common.bundle_files import rounded
from engines.common.grid import Clip
from engines.common.people import evened
from engines.common.rates import places
from engines.common.speakers import in_one_measure
from engines.mouthbank.data import make_basis
from engines.mouthbank.export import export_bundle
from engines.mouthbank.voice_net import Head, VoiceNet
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

STANDS_FOR = 500  # frames, of the layer as it was
LEAST = 1e-9  # mean square of a feature: one that is never heard says nothing


def heard(net: VoiceNet, clip: Clip, spec: LogMelSpec) -> Array:
    """What the layer makes the motion of (n, width), at the pictures of a clip that the sound lasts for."""
    mel = torch.from_numpy(LogMel(spec).process(clip.audio))[None]
    with torch.no_grad():
        made = net.featured(mel, net.initial_state())[2]
    assert made is not None
    features = made.features
    at = places(len(clip.motion), clip.fps, spec.rate / spec.hop) + net.look_ahead
    return np.asarray(features[0, at[at < features.shape[1]]].numpy())


def relearnt(net: VoiceNet, clips: Sequence[Clip], features: Sequence[Array]) -> VoiceNet:
    """``net`` with a last layer learnt from ``clips``, of which it hears ``features``; ``net`` itself stays."""
    told = in_one_measure(list(clips))
    moved = [clip.motion[: len(own)] for clip, own in zip(told, features, strict=True)]
    basis = make_basis(np.concatenate(moved), len(net.basis))
    shares = evened([clip.speaker for clip in told]) * len(told)
    weights = np.concatenate([np.full(len(own), share) for own, share in zip(features, shares, strict=True)])
    other = copy.deepcopy(net)
    head = other.heads[other.shape.look_aheads.index(other.look_ahead)]
    assert isinstance(head, Head)
    turned = (net.basis @ torch.from_numpy(basis.analysis)).numpy()
    before = np.concatenate([head.motion.weight[:, :, 0].detach().numpy().T, head.motion.bias.detach().numpy()[None]])
    layer = solved(np.concatenate(features), basis.coefficients(np.concatenate(moved)), weights, before @ turned)
    with torch.no_grad():
        head.motion.weight.copy_(torch.from_numpy(layer[:-1].T)[:, :, None])
        head.motion.bias.copy_(torch.from_numpy(layer[-1]))
        other.basis.copy_(torch.from_numpy(basis.components))
    return other


def solved(features: Array, targets: Array, weights: Array, before: Array) -> Array:
    """The layer (width + 1, k), its bias last, from features (n, width) to targets (n, k) weighed by ``weights`` (n,).

    ``before`` (width + 1, k) stands for :data:`STANDS_FOR` frames of usual features.
    """
    x = np.concatenate([features, np.ones((len(features), 1))], 1).astype(np.float64)
    weighed = x * weights[:, None]
    doubt = STANDS_FOR * np.maximum(np.average(x**2, 0, weights), LEAST)
    doubt[-1] = 1.0  # how somebody rests is told by few frames
    away = weighed.T @ (targets - x @ before)
    return np.asarray(before + np.linalg.solve(weighed.T @ x + np.diag(doubt), away), np.float32)


def write(net: VoiceNet, folder: Path, spec: LogMelSpec) -> Path:
    """A bundle of ``net``, to be measured as what ships is."""
    return export_bundle(rounded(net), spec, folder, "0.0.0")
