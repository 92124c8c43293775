"""A GPU's memory and one queue of its work, by the driver's own library: what TensorRT leaves to those who call it."""

from __future__ import annotations

import ctypes
import sys
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class DeviceMemory(Protocol):
    """Memory that an engine reads and writes. Addresses are plain numbers."""

    queue: int  # the handle of the stream that all of it goes through, in order

    def use(self) -> None:
        """Make this device the calling thread's."""

    def allocate(self, size: int) -> int: ...

    def free(self, address: int) -> None: ...

    def put(self, address: int, array: npt.NDArray[Any]) -> None:
        """Copy ``array``, which is contiguous, to the device."""

    def take(self, array: npt.NDArray[Any], address: int) -> None:
        """Fill ``array``, which is contiguous, once :meth:`wait` has returned."""

    def clear(self, address: int, size: int) -> None:
        """Fill with zeros."""

    def wait(self) -> None:
        """Until all that was asked for is done."""


class Cuda:
    """The GPU with CUDA's number ``number``, in the context that all libraries of the process share.

    Raises RuntimeError where there is none, and whenever the driver refuses.
    """

    def __init__(self, number: int = 0) -> None:
        try:
            self._library = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        except OSError as error:
            raise RuntimeError("there is no driver of NVIDIA's") from error
        handle, context, queue = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p()
        self._ask("cuInit", 0)
        self._ask("cuDeviceGet", ctypes.byref(handle), number)
        self._ask("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
        self._context = context
        self.use()
        self._ask("cuStreamCreate", ctypes.byref(queue), 1)  # 1: waits for no other stream
        self._queue = queue
        self.queue = int(queue.value or 0)

    def use(self) -> None:
        self._ask("cuCtxSetCurrent", self._context)

    def allocate(self, size: int) -> int:
        address = ctypes.c_uint64()
        self._ask("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(size, 1)))
        return address.value

    def free(self, address: int) -> None:
        self._ask("cuMemFree_v2", ctypes.c_uint64(address))

    def put(self, address: int, array: npt.NDArray[Any]) -> None:
        source = array.ctypes.data_as(ctypes.c_void_p)
        size = ctypes.c_size_t(array.nbytes)
        self._ask("cuMemcpyHtoDAsync_v2", ctypes.c_uint64(address), source, size, self._queue)

    def take(self, array: npt.NDArray[Any], address: int) -> None:
        target = array.ctypes.data_as(ctypes.c_void_p)
        size = ctypes.c_size_t(array.nbytes)
        self._ask("cuMemcpyDtoHAsync_v2", target, ctypes.c_uint64(address), size, self._queue)

    def clear(self, address: int, size: int) -> None:
        self._ask("cuMemsetD8Async", ctypes.c_uint64(address), ctypes.c_ubyte(0), ctypes.c_size_t(size), self._queue)

    def wait(self) -> None:
        self._ask("cuStreamSynchronize", self._queue)

    def _ask(self, name: str, *arguments: Any) -> None:
        if code := getattr(self._library, name)(*arguments):
            raise RuntimeError(f"the driver refuses {name}: CUDA error {code}")


FLOAT32_BYTES = np.dtype(np.float32).itemsize
