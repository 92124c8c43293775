"""The published loss: the mouth's points, and that its opening does not depend on whose face it is.

The voice is heard twice, with its own person's face and with another's of the batch. Both mouths should open alike over
time: openings are compared as shares of their mean over the row. No data tell that, which is why the authors call it
unsupervised.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.common.loop import Losses
from engines.landmark_dub.data import Rows
from engines.landmark_dub.network import LandmarkNet
from realtime_dub.face.scheme68 import LOWER_OF_UPPER, UPPER

PUBLISHED_ROW = 29  # steps of the authors' rows, and what their openings add up to over one
PUBLISHED_SUM = 256.0
LEAST_PX = 1e-3  # so that a distance of nothing has a slope


def landmark_losses(net: LandmarkNet, rows: Rows, openness: float = 1.0, opening: float = 0.0) -> Losses:
    """``openness``: weight of the second part; ``opening``: of a third, which is how far the lips are apart."""
    cepstra, faces, mouths = rows
    person, voice = net.person(faces), net.voice(cepstra)
    others = person[torch.randperm(len(person), device="cpu").to(person.device)]
    found, _ = net.mouths(torch.cat([person, others]), torch.cat([voice, voice]))
    own, another = found.chunk(2)
    parts = {
        "points": nn.functional.mse_loss(own, mouths),
        "openness": openness * nn.functional.mse_loss(opened(another), opened(own)),
    }
    if opening:
        parts["opening"] = opening * nn.functional.mse_loss(apart(own), apart(mouths))
    return parts


def apart(mouths: Tensor) -> Tensor:
    """How far below the upper lip's points the lower one's are (b, n, 8), pixels."""
    return mouths[:, :, LOWER_OF_UPPER, 1] - mouths[:, :, UPPER, 1]


def opened(mouths: Tensor) -> Tensor:
    """How far mouths (b, n, 20, 2) stand open over time (b, n), against their mean over the row."""
    apart = mouths[:, :, LOWER_OF_UPPER] - mouths[:, :, UPPER]
    openings = (apart.square().sum(-1) + LEAST_PX**2).sqrt().mean(2)
    return openings / openings.mean(1, keepdim=True) * (PUBLISHED_SUM / PUBLISHED_ROW)
