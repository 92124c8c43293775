"""Motion nets on filmed clips that they do not know: figures, curves and outlines of the lips."""

from __future__ import annotations

import copy

import cv2
import numpy as np
import torch
from torch import nn

from engines.common import Array
from engines.common.dataset import Dataset
from engines.common.engine import Samples
from engines.common.grid import Clip, make_example
from engines.common.metrics import LIPS_AT, lagged_correlation, lip_distance, openings
from engines.common.rates import places
from engines.mouthbank.network import GivesMotion
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec
from realtime_dub.face.landmarks import LIPS, LIPS_OUTER

SHOWN = 3  # validation tracks
MOMENTS = 8  # drawn of each
SIDE = 120  # pixels of a drawing, 1.6 mouth widths
REAL, FOUND = (0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77)


def held_clips(dataset: Dataset, most: int) -> list[Clip]:
    """Up to ``most`` validation clips, evenly chosen."""
    entries = dataset.part("validation")
    chosen = np.linspace(0, len(entries) - 1, min(most, len(entries)))
    return [dataset.clip(entries[int(place)]) for place in chosen]


def validate(net: GivesMotion, clips: list[Clip], spec: LogMelSpec) -> dict[str, float]:
    """r of the lip opening, lip distance and accuracy of speech at the video's frames."""
    pairs, distances, right = [], [], []
    late = net.look_ahead
    front_end = LogMel(spec)
    for clip in clips:
        example = make_example(clip, spec)
        mel = torch.from_numpy(front_end.compress(example.power))[None]
        with torch.no_grad():
            displacement, speech, _ = net(mel, net.initial_state())
        right.append((speech[0, late:].numpy() > 0.5) == (example.speech[: len(example.speech) - late] > 0.5))
        at = places(len(clip.motion), clip.fps, spec.rate / spec.hop) + late
        at = at[at < len(example.power)]
        found, real = displacement[0, at].numpy(), clip.motion[: len(at)]
        pairs.append((openings(found, clip.neutral), openings(real, clip.neutral)))
        distances.append(lip_distance(found, real))
    return {
        "r": round(lagged_correlation(pairs, 0), 4),
        "distance": round(float(np.concatenate(distances).mean()), 5),
        "speech_accuracy": round(float(np.concatenate(right).mean()), 4),
    }


def samples(net: GivesMotion, clips: list[Clip], spec: LogMelSpec) -> Samples:
    """The first clips as TensorBoard shows them."""
    shown = Samples()
    for clip in clips[:SHOWN]:
        found = predict(net, clip, spec)
        real = clip.motion[: len(found)]
        curves = {"real": openings(real, clip.neutral), "found": openings(found, clip.neutral)}
        shown.curves[f"opening/{clip.name}"] = curves
        shown.pictures[f"lips/{clip.name}"] = draw_lips(real, found, clip.neutral)
        shown.sounds[f"sound/{clip.name}"] = (clip.audio, spec.rate)
    return shown


def predict(net: GivesMotion, clip: Clip, spec: LogMelSpec) -> Array:
    """The net's motion (T, 168, 3) at the pictures of a clip."""
    mel = torch.from_numpy(LogMel(spec).process(clip.audio))[None]
    with torch.no_grad():
        displacement = net(mel, net.initial_state())[0][0].numpy()
    at = places(len(clip.motion), clip.fps, spec.rate / spec.hop) + net.look_ahead
    return np.asarray(displacement[at[at < len(displacement)]])


def draw_lips(real: Array, found: Array, neutral: Array) -> Array:
    """Outlines of real and found lips at several moments, side by side (SIDE, MOMENTS * SIDE, 3) RGB."""
    centre = neutral[LIPS, :2].mean(0)
    moments = np.linspace(0, len(real) - 1, MOMENTS).astype(int)
    tiles = []
    for moment in moments:
        tile = np.full((SIDE, SIDE, 3), 255, np.uint8)
        for motion, colour in ((real, REAL), (found, FOUND)):
            points = (neutral[LIPS, :2] + motion[moment, LIPS_AT, :2] - centre) * (SIDE / 1.6) + SIDE / 2
            rings = [ring.round().astype(np.int32) for ring in np.split(points, [len(LIPS_OUTER)])]
            cv2.polylines(tile, rings, True, colour, 1, cv2.LINE_AA)
        tiles.append(tile)
    return np.concatenate(tiles, 1)


def on_cpu(net: nn.Module) -> GivesMotion:
    """A copy of a net to measure."""
    assert isinstance(net, GivesMotion)
    return copy.deepcopy(net).cpu()
