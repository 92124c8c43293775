"""Bundles of small networks that paint, and checkpoints of PyTorch without PyTorch."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from faces import tracked_portrait

from benchmarks import networks as files
from benchmarks.networks import message
from realtime_dub.face.alignment import canonicalise
from realtime_dub.face.landmarks import LIPS_INNER
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.media import Image

HOPS, BANDS, SIZE = 16, 80, 96
RATE = 16_000


def voice(seconds: float, level: float = 0.2) -> np.ndarray:
    """Noise (n,) at ``RATE``."""
    rng = np.random.default_rng(3)
    return (level * rng.standard_normal(round(seconds * RATE))).astype(np.float32)


def person(pts_ns: int = 0, image: Image | None = None, face: Face | None = None, shot: int = 0) -> TrackedFrame:
    """The portrait, tracked."""
    found = tracked_portrait()
    frame = replace(found.frame, pts_ns=pts_ns, image=found.frame.image if image is None else image)
    return replace(found, frame=frame, face=face or found.face, shot=shot)


def opened(amount: float) -> Face:
    """The portrait's face with its lips ``amount`` mouth widths apart."""
    face = tracked_portrait().face
    assert face is not None
    points = face.points.copy()
    points[LIPS_INNER[11:], 1] += amount * face.pose.scale
    return canonicalise(points)


def _axes(name: str, *values: int) -> bytes:
    return message((1, name), *((8, value) for value in values), (20, 7))


def reference_net(gain: float = 0.0, size: int = SIZE, batch: str | int = "batch") -> bytes:
    """Paints the reference as it is, brighter by ``gain`` times the mean of the window."""
    image = [batch, 3, size, size]
    nodes = [
        files.node("ReduceMean", ["mel"], ["mean"], _axes("axes", 1, 2)),
        files.node("Unsqueeze", ["mean", "last"], ["heard"]),
        files.node("Mul", ["heard", "gain"], ["louder"]),
        files.node("Mul", ["face", "nothing"], ["unseen"]),
        files.node("Add", ["reference", "unseen"], ["as it was"]),
        files.node("Add", ["as it was", "louder"], ["painted"]),
    ]
    kept = [
        files.tensor("last", np.array([3], np.int64)),
        files.tensor("gain", np.array([gain], np.float32)),
        files.tensor("nothing", np.zeros(1, np.float32)),
    ]
    inputs = [files.value("mel", [batch, HOPS, BANDS]), files.value("face", image), files.value("reference", image)]
    return files.model(files.graph(nodes, kept, inputs, [files.value("painted", image)]))


def stacked_net(size: int = SIZE) -> bytes:
    """As other programs lay Wav2Lip out: six channels, one frame, names that say nothing. Paints the hidden face."""
    nodes = [
        files.node("Slice", ["target", "from", "to", "along"], ["hidden"]),
        files.node("ReduceMean", ["source"], ["mean"]),
        files.node("Mul", ["mean", "nothing"], ["silent"]),
        files.node("Add", ["hidden", "silent"], ["output"]),
    ]
    kept = [
        files.tensor("from", np.array([0], np.int64)),
        files.tensor("to", np.array([3], np.int64)),
        files.tensor("along", np.array([1], np.int64)),
        files.tensor("nothing", np.zeros(1, np.float32)),
    ]
    inputs = [files.value("target", [1, 6, size, size]), files.value("source", [1, 1, BANDS, HOPS])]
    return files.model(files.graph(nodes, kept, inputs, [files.value("output", [1, 3, size, size])]))


def write_bundle(folder: Path, net: bytes, **changed: Any) -> Path:
    """A bundle for the engine wav2lip, or what ``changed`` says."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "network.onnx").write_bytes(net)
    image = ["batch", 3, SIZE, SIZE]
    spec = {
        "format": 2,
        "task": "crop",
        "name": "test-painter",
        "version": "1",
        "engine": "wav2lip",
        "model": "network.onnx",
        "audio": {"kind": "painter_mel"},
        "look_ahead_ms": 100,
        "window_frames": HOPS,
        "crop": {"size": SIZE},
        "inputs": [
            {"name": "mel", "shape": ["batch", HOPS, BANDS]},
            {"name": "face", "shape": image},
            {"name": "reference", "shape": image},
        ],
        "outputs": [{"name": "painted", "shape": image}],
        "licence": "CC0",
        "notice": "made by a test",
        "training_data": [],
        "sha256": {"network.onnx": hashlib.sha256(net).hexdigest()},
    }
    (folder / "spec.json").write_text(json.dumps(spec | changed))
    return folder


# Checkpoints.


class _Called:
    """Pickled as a call of ``name``."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments


class _Stored:
    """Pickled as a storage."""

    def __init__(self, key: str, values: np.ndarray, kind: str) -> None:
        self.key, self.values, self.kind = key, values, kind


class Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Protocol 2, as torch.save has it; names are written down and never looked up."""

    def __init__(self, stream: BytesIO, legacy: bool) -> None:
        super().__init__(stream, 2)
        self.storages: dict[str, np.ndarray] = {}
        self._legacy = legacy

    def persistent_id(self, value: Any) -> Any:
        if not isinstance(value, _Stored):
            return None
        self.storages[value.key] = value.values
        found = ("storage", Name("torch", f"{value.kind}Storage"), value.key, "cpu", value.values.size)
        return (*found, None) if self._legacy else found

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        if isinstance(value, Name):
            self.write(b"c" + f"{value.module}\n{value.attribute}\n".encode())
        elif isinstance(value, _Called):
            self.save(Name(*value.name.rsplit(".", 1)))
            self.save(value.arguments)
            self.write(pickle.REDUCE)
        elif isinstance(value, Module):
            self.save(Name("__main__", value.name))
            self.write(pickle.EMPTY_TUPLE + pickle.NEWOBJ)
            self.save(value.state)
            self.write(pickle.BUILD)
        else:
            super().save(value, save_persistent_id)


class Name:
    """Pickled as a name."""

    def __init__(self, module: str, attribute: str) -> None:
        self.module, self.attribute = module, attribute


class Module:
    """Pickled as an object of a class of somebody's script."""

    def __init__(self, name: str, **state: Any) -> None:
        self.name, self.state = name, state


KINDS = {"float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long", "uint16": "BFloat16"}


def tensor(key: str, values: np.ndarray) -> Any:
    """uint16 stands for the halves of bfloat16."""
    strides = tuple(step // values.itemsize for step in values.strides)
    stored = _Stored(key, values.reshape(-1), KINDS[str(values.dtype)])
    return called("torch._utils._rebuild_tensor_v2", stored, 0, values.shape, strides, False, ordered())


def called(name: str, *arguments: Any) -> Any:
    return _Called(name, *arguments)


def ordered() -> Any:
    return _Called("collections.OrderedDict")


def pickled(root: Any, legacy: bool = False) -> tuple[bytes, dict[str, np.ndarray]]:
    stream = BytesIO()
    pickler = Pickler(stream, legacy)
    pickler.dump(root)
    return stream.getvalue(), pickler.storages


def archive(root: Any, data: bytes | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """A checkpoint as PyTorch has written it since 1.6. ``data``: its pickle, in place of ``root``'s."""
    made, storages = pickled(root)
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        file.writestr("net/data.pkl", made if data is None else data)
        file.writestr("net/byteorder", "little")
        for key, values in storages.items():
            file.writestr(f"net/data/{key}", values.tobytes())
    return stream.getvalue()


def legacy(root: Any) -> bytes:
    """As before that."""
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    made, storages = pickled(root, True)
    head = [pickle.dumps(each, 2) for each in (0x1950A86A20F9469CFC6C, 1001, about)]
    tail = [struct.pack("<q", values.size) + values.tobytes() for values in storages.values()]
    return b"".join([*head, made, pickle.dumps(list(storages), 2), *tail])
