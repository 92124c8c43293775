"""Avatars that need no training: all of one, and a network that shows the drawing itself."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
from test_avatar import write_avatar

from benchmarks import networks as files

SIZE = 64


def drawing_net(size: int = SIZE) -> bytes:
    """The person is the drawing; where lines are, nothing of what is behind is seen."""
    nodes = [
        files.node("MaxPool", ["drawing"], ["spread"], files.message((1, "kernel_shape"), (8, 1), (8, 1), (20, 7))),
        files.node("Split", ["spread"], ["blue", "green", "red"], files.number("axis", 1)),
        files.node("Max", ["blue", "green", "red"], ["share"]),
        files.node("Concat", ["drawing", "share"], ["painted"], files.number("axis", 1)),
    ]
    inputs = [files.value("drawing", ["batch", 3, size, size])]
    return files.model(files.graph(nodes, [], inputs, [files.value("painted", ["batch", 4, size, size])]))


def toy_avatar(folder: Path, net: bytes | None = None, **changed: object) -> Path:
    """An avatar that moves as recorded. ``changed``: what its network's spec says otherwise."""
    write_avatar(folder)
    (folder / "picture").mkdir()
    net = drawing_net() if net is None else net
    (folder / "picture/picture.onnx").write_bytes(net)
    spec = {
        "format": 2,
        "task": "frame",
        "name": "toy-avatar",
        "version": "1",
        "engine": "avatar",
        "model": "picture.onnx",
        "width": SIZE,
        "height": SIZE,
        "drawing_channels": 3,
        "inputs": [{"name": "drawing", "shape": ["batch", 3, SIZE, SIZE]}],
        "outputs": [{"name": "painted", "shape": ["batch", 4, SIZE, SIZE]}],
        "licence": "CC0",
        "training_data": [],
        "sha256": {"picture.onnx": hashlib.sha256(net).hexdigest()},
        **changed,
    }
    (folder / "picture/spec.json").write_text(json.dumps(spec))
    return folder


def dark(image: np.ndarray) -> bool:
    return bool(image.mean() < 40)
