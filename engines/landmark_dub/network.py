"""The three networks as published (tanjimin/unsupervised-video-dubbing), in PyTorch, and what joins them.

``LandmarkNet`` is batch-first; the GRU's state is handed in and out, so that one ``forward`` serves a whole clip and a
stream. A look-ahead is a delay: what it gives behind frame n is the mouth at frame ``n - delay``.
"""

from __future__ import annotations

import itertools
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from engines.landmark_dub.layers import BRIGHTEST, CEPSTRA, FACE, JOINED, LIPS, MEMORIES, OUT, SHOWN, VOICE

DROPOUT = 0.2  # between the layers of the GRU


@dataclass(frozen=True)
class Shape:
    """Kept with the net's files."""

    delay: int = 0  # frames of the voice that it waits for; the published networks wait for none

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


class AudioEncoder(nn.Module):
    """Cepstra (n, 12) to (n, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _encoder((CEPSTRA, *VOICE))

    def forward(self, cepstra: Tensor) -> Tensor:
        return self.encoder(cepstra)


class FaceEncoder(nn.Module):
    """The 48 landmarks that are no mouth (n, 96), pixels of the crop, to (n, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = _encoder((2 * SHOWN, *FACE))

    def forward(self, face: Tensor) -> Tensor:
        return self.encoder(face)


class FaceDecoder(nn.Module):
    """Both together over time (b, t, 144), and the GRU's state, to landmarks of the mouth (b, t, 40) in 0..1."""

    def __init__(self) -> None:
        super().__init__()
        self.stabilizer = nn.GRU(JOINED, JOINED, MEMORIES, batch_first=True, dropout=DROPOUT)
        self.decoder = nn.Sequential(*_encoder((JOINED, *OUT)), nn.Linear(OUT[-1], 2 * LIPS), nn.Sigmoid())
        _begin(self.decoder)

    def forward(self, joined: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        remembered, after = self.stabilizer(joined, state)
        return self.decoder(remembered.reshape(-1, JOINED)).reshape(*joined.shape[:2], 2 * LIPS), after


class LandmarkNet(nn.Module):
    """Cepstra (b, t, 12) and faces (b, t, 48, 2) to mouths (b, t, 20, 2); pixels of the crop."""

    def __init__(self, shape: Shape | None = None) -> None:
        super().__init__()
        self.shape = shape or Shape()
        self.audio_encoder, self.face_encoder, self.face_decoder = AudioEncoder(), FaceEncoder(), FaceDecoder()

    def voice(self, cepstra: Tensor) -> Tensor:
        """(b, t, 128)"""
        return self.audio_encoder(cepstra.reshape(-1, CEPSTRA)).reshape(*cepstra.shape[:2], -1)

    def person(self, faces: Tensor) -> Tensor:
        """(b, t, 16)"""
        return self.face_encoder(faces.reshape(-1, 2 * SHOWN)).reshape(*faces.shape[:2], -1)

    def mouths(self, person: Tensor, voice: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        found, after = self.face_decoder(torch.cat([person, voice], 2), state)
        return (found * BRIGHTEST).reshape(*found.shape[:2], LIPS, 2), after

    def forward(self, cepstra: Tensor, faces: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """``state`` (2, b, 144): None = nothing was heard."""
        return self.mouths(self.person(faces), self.voice(cepstra), state)


def _encoder(widths: tuple[int, ...]) -> nn.Sequential:
    parts: list[nn.Module] = []
    for before, width in itertools.pairwise(widths):
        parts += [nn.Linear(before, width), nn.BatchNorm1d(width), nn.ReLU()]
    made = nn.Sequential(*parts)
    _begin(made)
    return made


def _begin(layers: nn.Sequential) -> None:
    for layer in layers:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, mode="fan_in", nonlinearity="relu")
