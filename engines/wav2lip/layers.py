"""What the network is made of: one table, from which weights are checked, the graph is built, and PyTorch's net too.

After Prajwal et al., "A Lip Sync Expert Is All You Need" (ACM Multimedia 2020): face encoder, audio encoder, and a
decoder each of whose blocks is joined with the face encoder's map of the same size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

SIZE, BANDS, FRAMES = 96, 80, 16  # pixels a side; of the mel window


@dataclass(frozen=True)
class Layer:
    """A convolution, its batch norm and ReLU; ``residual``: the input is added before the ReLU."""

    inputs: int
    outputs: int
    kernel: int = 3
    stride: tuple[int, int] = (1, 1)
    padding: int = 1
    residual: bool = False
    transposed: bool = False
    extra: int = 0  # rows and columns that a transposed one adds below and on the right

    @property
    def weight_shape(self) -> tuple[int, ...]:
        channels = (self.inputs, self.outputs) if self.transposed else (self.outputs, self.inputs)
        return (*channels, self.kernel, self.kernel)


def _down(inputs: int, outputs: int, again: int) -> list[Layer]:
    return [Layer(inputs, outputs, stride=(2, 2)), *_more(outputs, again)]


def _up(inputs: int, outputs: int, again: int) -> list[Layer]:
    return [Layer(inputs, outputs, stride=(2, 2), transposed=True, extra=1), *_more(outputs, again)]


def _more(channels: int, count: int) -> list[Layer]:
    return [Layer(channels, channels, residual=True)] * count


def _point(channels: int) -> Layer:
    return Layer(channels, channels, kernel=1, padding=0)


FACE = (
    [Layer(6, 16, kernel=7, padding=3)],
    _down(16, 32, 2),
    _down(32, 64, 3),
    _down(64, 128, 2),
    _down(128, 256, 2),
    _down(256, 512, 1),
    [Layer(512, 512, padding=0), _point(512)],
)
AUDIO = (
    *(Layer(1, 32), *_more(32, 2)),
    *(Layer(32, 64, stride=(3, 1)), *_more(64, 2)),
    *(Layer(64, 128, stride=(3, 3)), *_more(128, 2)),
    *(Layer(128, 256, stride=(3, 2)), *_more(256, 1)),
    *(Layer(256, 512, padding=0), _point(512)),
)
DECODER = (
    [_point(512)],
    [Layer(1024, 512, padding=0, transposed=True), *_more(512, 1)],
    _up(1024, 512, 2),
    _up(768, 384, 2),
    _up(512, 256, 2),
    _up(320, 128, 2),
    _up(160, 64, 2),
)
OUTPUT = Layer(80, 32)
LAST = (3, 32, 1, 1)  # shape of the last convolution, which has no batch norm


def named() -> Iterator[tuple[str, Layer]]:
    """Every layer with a batch norm, by the name that a checkpoint has for it."""
    for part, blocks in (("face_encoder_blocks", FACE), ("face_decoder_blocks", DECODER)):
        for block, layers in enumerate(blocks):
            for place, layer in enumerate(layers):
                yield f"{part}.{block}.{place}", layer
    for place, layer in enumerate(AUDIO):
        yield f"audio_encoder.{place}", layer
    yield "output_block.0", OUTPUT


def expected() -> dict[str, tuple[int, ...]]:
    """Every tensor that a checkpoint has to hold, with its shape."""
    found: dict[str, tuple[int, ...]] = {}
    for name, layer in named():
        found[f"{name}.conv_block.0.weight"] = layer.weight_shape
        for each in ("0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var"):
            found[f"{name}.conv_block.{each}"] = (layer.outputs,)
    found["output_block.1.weight"], found["output_block.1.bias"] = LAST, LAST[:1]
    return found
