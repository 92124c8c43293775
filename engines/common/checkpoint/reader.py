"""Opens a checkpoint and gives its tensors by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt

from engines.common.checkpoint.containers import Container, opened
from engines.common.checkpoint.values import Record, Refused, Storage, Tensor
from realtime_dub.errors import BundleError
from realtime_dub.paths import READ, reason, size_of_plain_file

MOST_TENSORS = 20_000
MOST_DEPTH, MOST_NAME = 32, 500  # of the path to a tensor: steps, characters
FETCH = "only tensors and plain containers are taken: fetch it from where you trust it, or save its state_dict() alone"
_MODULE = ("_parameters", "_buffers", "_modules")  # where an nn.Module keeps what it has


class StoredTensor:
    """A tensor of a checkpoint, still in its file."""

    def __init__(self, tensor: Tensor, checkpoint: Checkpoint) -> None:
        self._tensor, self._checkpoint = tensor, checkpoint

    @property
    def shape(self) -> tuple[int, ...]:
        return self._tensor.shape

    @property
    def dtype(self) -> str:
        """numpy's name, or bfloat16."""
        return self._tensor.storage.dtype

    def read(self) -> npt.NDArray[Any]:
        """Its numbers; those of 16 bits as float32. A view: not to be written into. Raises BundleError."""
        return self._checkpoint.numbers(self._tensor)


class Checkpoint:
    """``tensors`` by the path to each, such as ``state_dict.layer.weight``. To be closed."""

    def __init__(self, path: Path, file: BinaryIO, size: int, classes: bool) -> None:
        self._path, self._file = path, file
        self._read: dict[str, npt.NDArray[Any]] = {}
        try:
            self._container: Container = opened(file, size, classes)
            self.tensors: Mapping[str, StoredTensor] = self._found()
        except Refused as refused:
            raise self._error(refused) from None
        except RecursionError:
            raise self._error(Refused("is nested too deep")) from None
        except OSError as error:
            raise BundleError("cannot read", f"{path}: {reason(error)}", "choose another file") from error

    def numbers(self, tensor: Tensor) -> npt.NDArray[Any]:
        try:
            values = self._values(tensor.storage)[tensor.offset :]
        except Refused as refused:
            raise self._error(refused) from None
        strides = [stride * values.itemsize for stride in tensor.strides]
        return np.lib.stride_tricks.as_strided(values, tensor.shape, strides, writeable=False)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _found(self) -> dict[str, StoredTensor]:
        found: dict[str, StoredTensor] = {}
        for name, tensor in _tensors(self._container.root):
            if name in found:
                raise Refused(f"has two tensors {name[:80]!r}")
            if len(found) >= MOST_TENSORS:
                raise Refused(f"has more than {MOST_TENSORS} tensors")
            _check(name, tensor)
            found[name] = StoredTensor(tensor, self)
        return found

    def _values(self, storage: Storage) -> npt.NDArray[Any]:
        """Each storage is read once: all of them are no more than the file."""
        if storage.key not in self._read:
            self._read[storage.key] = _numbers(self._container.read(storage), storage.dtype)
        return self._read[storage.key]

    def _error(self, refused: Refused) -> BundleError:
        return BundleError("cannot take weights from", f"{self._path}: it {refused}", FETCH)


def open_checkpoint(path: Path, classes: bool = False) -> Checkpoint:
    """Read what ``path`` describes, and no numbers yet. Raises BundleError, which names what is refused.

    ``classes``: a whole network was saved and not its ``state_dict``; what would be objects are read as their
    attributes, and no class of them is looked up.
    """
    try:
        size_of_plain_file(os.stat(path))
        file = open(os.open(path, READ), "rb")  # noqa: SIM115 - the checkpoint closes it
    except (OSError, ValueError) as error:
        raise BundleError("cannot read", f"{path}: {reason(error)}", "choose a .pt or .pth file") from error
    try:
        return Checkpoint(path, file, size_of_plain_file(os.fstat(file.fileno())), classes)
    except BaseException:
        file.close()
        raise


def _tensors(root: Any) -> Iterator[tuple[str, Tensor]]:
    """Every tensor with the path to it. A container that is there twice is walked through once."""
    seen: set[int] = set()
    waiting: list[tuple[tuple[str, ...], Any]] = [((), root)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, Tensor):
            if sum(map(len, path)) > MOST_NAME:
                raise Refused(f"has a tensor with a name of more than {MOST_NAME} characters")
            yield ".".join(path), value
        elif isinstance(value, dict | list | tuple | Record) and id(value) not in seen:
            seen.add(id(value))
            if len(path) > MOST_DEPTH or sum(map(len, path)) > MOST_NAME:
                raise Refused("is nested too deep")
            waiting += reversed([((*path, *name), each) for name, each in _parts(value)])


def _parts(value: Any) -> list[tuple[tuple[str, ...], Any]]:
    """What is in a container, and what each adds to the path: nothing, where a module keeps its own."""
    if isinstance(value, Record):
        return [((), value.state)]
    if isinstance(value, dict):
        of_module = all(name in value for name in _MODULE)
        return [(() if of_module and key in _MODULE else (str(key),), each) for key, each in value.items()]
    return [((str(place),), each) for place, each in enumerate(value)]


def _check(name: str, tensor: Tensor) -> None:
    """All of it lies in its storage, and no number is used twice: it is no larger than what was read."""
    shape, storage = tensor.shape, tensor.storage
    if 0 in shape:
        if tensor.offset <= storage.count:
            return
        raise Refused(f"has a tensor {name[:80]!r} that lies outside its numbers")
    count = 1
    for size in shape:
        count *= size
    last = tensor.offset + sum((size - 1) * stride for size, stride in zip(shape, tensor.strides, strict=True))
    if last >= storage.count or count > storage.count:
        raise Refused(f"has a tensor {name[:80]!r} that lies outside its numbers")


def _numbers(data: bytes, dtype: str) -> npt.NDArray[Any]:
    if dtype == "bfloat16":
        return (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    found = np.frombuffer(data, np.dtype(dtype).newbyteorder("<"))
    return found.astype(np.float32) if dtype == "float16" else found
