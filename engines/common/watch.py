"""TensorBoard's view of a run: losses, figures, curves, pictures, sound. ``tensorboard --logdir RUN/tensorboard``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

import cv2
import numpy as np
from torch import nn
from torch.utils.tensorboard import SummaryWriter

from engines.common import Array
from engines.common.engine import Samples

WIDTH, HEIGHT = 640, 200
COLOURS = ((0x44, 0x77, 0xAA), (0xEE, 0x66, 0x77), (0x22, 0x88, 0x33), (0xCC, 0xBB, 0x44))  # RGB


class TensorBoard:
    """Writes to ``folder``. A run that goes on adds to it."""

    def __init__(self, folder: Path, samples: Callable[[nn.Module], Samples]) -> None:
        self._writer, self._samples = SummaryWriter(str(folder)), samples
        self._heard = False

    def __enter__(self) -> TensorBoard:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._writer.close()

    def row(self, step: int, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def net(self, step: int, net: nn.Module) -> None:
        samples = self._samples(net)
        for name, curves in samples.curves.items():
            self._writer.add_image(name, plot(curves), step, dataformats="HWC")
        for name, picture in samples.pictures.items():
            self._writer.add_image(name, picture, step, dataformats="HWC")
        if not self._heard:  # sound does not change with the net unless an engine gives it another name
            for name, (sound, rate) in samples.sounds.items():
                self._writer.add_audio(name, sound[None], step, rate)
            self._heard = True
        self._writer.flush()


def plot(curves: dict[str, Array]) -> Array:
    """Curves (n,) drawn into one picture (HEIGHT, WIDTH, 3) RGB, with their names."""
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    low = min(float(curve.min()) for curve in curves.values())
    high = max(float(curve.max()) for curve in curves.values())
    for index, (name, curve) in enumerate(curves.items()):
        colour = COLOURS[index % len(COLOURS)]
        x = np.linspace(4, WIDTH - 5, len(curve))
        y = HEIGHT - 5 - (curve - low) / max(high - low, 1e-9) * (HEIGHT - 30)
        cv2.polylines(picture, [np.stack([x, y], 1).round().astype(np.int32)], False, colour, 1, cv2.LINE_AA)
        cv2.putText(picture, name, (8 + 110 * index, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, 1, cv2.LINE_AA)
    return picture
