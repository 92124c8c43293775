"""The network in PyTorch, with the names that its checkpoints have: what the imported one is compared with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engines.wav2lip.layers import AUDIO, DECODER, FACE, LAST, OUTPUT, Layer


class Block(nn.Module):
    """A convolution, its batch norm, maybe the input added, ReLU."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        sizes = layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding
        conv = nn.ConvTranspose2d(*sizes, layer.extra) if layer.transposed else nn.Conv2d(*sizes)
        self.conv_block = nn.Sequential(conv, nn.BatchNorm2d(layer.outputs))
        self.residual = layer.residual

    def forward(self, x: Tensor) -> Tensor:
        made = self.conv_block(x)
        return torch.relu(made + x if self.residual else made)


class Wav2Lip(nn.Module):
    """A mel window and two faces to one face."""

    def __init__(self) -> None:
        super().__init__()
        self.face_encoder_blocks = nn.ModuleList([nn.Sequential(*map(Block, layers)) for layers in FACE])
        self.audio_encoder = nn.Sequential(*map(Block, AUDIO))
        self.face_decoder_blocks = nn.ModuleList([nn.Sequential(*map(Block, layers)) for layers in DECODER])
        last = nn.Conv2d(LAST[1], LAST[0], LAST[2])
        self.output_block = nn.Sequential(Block(OUTPUT), last, nn.Sigmoid())

    def forward(self, mel: Tensor, face: Tensor, reference: Tensor) -> Tensor:
        """``mel`` (b, hops, bands); ``face``, whose lower half is hidden, and ``reference`` (b, 3, size, size) BGR."""
        maps, x = [], torch.cat([face, reference], 1)
        for block in self.face_encoder_blocks:
            x = block(x)
            maps.append(x)
        x = self.audio_encoder(mel.transpose(1, 2)[:, None])
        for block, beside in zip(self.face_decoder_blocks, reversed(maps), strict=True):
            x = torch.cat([block(x), beside], 1)
        painted: Tensor = self.output_block(x)
        return painted
