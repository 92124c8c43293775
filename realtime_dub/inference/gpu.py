"""Which GPU there is, asked of its driver's own libraries: no package is needed, and no work is given to it."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import NamedTuple

_CAPABILITY = (75, 76)  # CUDA's numbers of major and minor
_SUCCESS = 0


class Gpu(NamedTuple):
    """What an engine is built for."""

    name: str
    capability: str  # "8.9"
    driver: str  # "580.65.06"
    memory_mb: int


@functools.cache
def found(device: int = 0) -> Gpu | None:
    """The GPU with CUDA's number ``device``; None where there is none, or no driver."""
    try:
        cuda = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    handle = ctypes.c_int()
    if cuda.cuInit(0) != _SUCCESS or cuda.cuDeviceGet(ctypes.byref(handle), device) != _SUCCESS:
        return None
    return Gpu(_name(cuda, handle), _capability(cuda, handle), _driver(cuda), _memory_mb(cuda, handle))


def _name(cuda: ctypes.CDLL, handle: ctypes.c_int) -> str:
    text = ctypes.create_string_buffer(256)
    cuda.cuDeviceGetName(text, len(text), handle)
    return text.value.decode(errors="replace")


def _capability(cuda: ctypes.CDLL, handle: ctypes.c_int) -> str:
    parts = [ctypes.c_int() for _ in _CAPABILITY]
    for part, number in zip(parts, _CAPABILITY, strict=True):
        cuda.cuDeviceGetAttribute(ctypes.byref(part), number, handle)
    return ".".join(str(part.value) for part in parts)


def _memory_mb(cuda: ctypes.CDLL, handle: ctypes.c_int) -> int:
    size = ctypes.c_size_t()
    cuda.cuDeviceTotalMem_v2(ctypes.byref(size), handle)
    return size.value >> 20


def _driver(cuda: ctypes.CDLL) -> str:
    """The driver's version; where its management library is missing, the CUDA that it speaks."""
    try:
        management = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        text = ctypes.create_string_buffer(96)
        if management.nvmlInit_v2() == _SUCCESS:
            asked = management.nvmlSystemGetDriverVersion(text, len(text))
            management.nvmlShutdown()
            if asked == _SUCCESS:
                return text.value.decode(errors="replace")
    except OSError:
        pass
    version = ctypes.c_int()
    cuda.cuDriverGetVersion(ctypes.byref(version))
    return f"CUDA {version.value // 1000}.{version.value % 1000 // 10}"
