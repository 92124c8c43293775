"""Files that hold other files or networks: avatars packed as one, networks, weights of Keras, signed films."""

from __future__ import annotations

import io
import shutil
import tempfile
from pathlib import Path

import mutations
import numpy as np
from fuzz.kind import Kind, Reader, by_path, memory


def _avatar() -> Reader:
    from realtime_dub.mouth.avatar.packed import unpack

    out = Path(tempfile.mkdtemp(dir=memory())) / "avatar"

    def read(path: Path) -> None:
        try:
            unpack(path, out)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    return by_path(".zip", read)


def _avatars() -> list[bytes]:
    from toy_avatars import toy_avatar

    from realtime_dub.mouth.avatar.packed import pack

    with tempfile.TemporaryDirectory() as folder:
        packed = Path(folder) / "me.zip"
        pack(toy_avatar(Path(folder) / "me"), packed)
        return [packed.read_bytes()]


def _network() -> Reader:
    """In a process of its own, as wherever a foreign one is run."""
    from realtime_dub.inference.sandbox.session import SandboxSession

    def read(data: bytes) -> None:
        session = SandboxSession(data)
        try:
            session.run({each.name: np.ones([n if isinstance(n, int) and 0 < n <= SIDE else 1 for n in each.shape],
                         np.float32) for each in session.inputs})  # fmt: skip
        finally:
            session.close()

    return read


SIDE = 64


def _networks() -> list[bytes]:
    from toy_avatars import drawing_net

    return [drawing_net()]


def _keras() -> Reader:
    """What the process of its own does, in as much memory."""
    import resource

    from engines.lipgan.keras_file import MOST_MEMORY, Refusal, _mapped, tensors

    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + MOST_MEMORY,) * 2)

    def read(path: Path) -> None:
        try:
            dict(tensors(path))
        except (OSError, RuntimeError, ValueError, KeyError, TypeError, MemoryError) as error:
            raise Refusal(type(error).__name__) from None

    return by_path(".h5", read)


def _weights() -> list[bytes]:
    import h5py

    held = io.BytesIO()
    with h5py.File(held, "w") as file:
        root = file.create_group("model_weights")
        root.attrs["layer_names"] = np.array([b"conv2d", b"batch_normalization_1"])
        for layer, parts in (("conv2d", ("kernel", "bias")), ("batch_normalization_1", ("gamma", "beta"))):
            group = root.create_group(layer)
            group.attrs["weight_names"] = np.array([f"{layer}/{part}:0".encode() for part in parts])
            for part in parts:
                group.create_dataset(f"{layer}/{part}:0", data=np.ones((3, 2), np.float32))
    return [held.getvalue()]


def _inspection(suffix: str) -> Reader:
    from realtime_dub.trust.inspection import inspect

    return by_path(suffix, inspect)


def _refused_weights() -> tuple[type[Exception], ...]:
    from engines.lipgan.keras_file import Refusal

    return (Refusal,)


KINDS: dict[str, Kind] = {
    "avatar": Kind(_avatars, _avatar),
    "onnx": Kind(_networks, _network, slow=True),
    "h5": Kind(_weights, _keras, refused=_refused_weights()),
    "inspected-mp4": Kind(lambda: [mutations.sample(".mp4")], lambda: _inspection(".mp4")),
    "inspected-png": Kind(lambda: [mutations.sample(".png")], lambda: _inspection(".png")),
}
