"""Libraries that do more when they are imported than they were asked for, and how they are kept from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

# For parts of it that nobody uses here, MediaPipe loads a library that looks for every sound device of the machine, and
# one that starts programs to find fonts and writes down in the user's home what it found.
NOT_FOR_MEDIAPIPE = ("sounddevice", "matplotlib", "matplotlib.pyplot")


@contextmanager
def left_out(*names: str) -> Iterator[None]:
    """While entered, who imports one of these is given an empty module; what is loaded already stays as it is."""
    missing = [name for name in names if name not in sys.modules]
    for name in missing:
        sys.modules[name] = ModuleType(name)
    try:
        yield
    finally:
        for name in missing:
            del sys.modules[name]


@contextmanager
def unsearched() -> Iterator[None]:
    """While entered, nobody starts a compiler to find a C library: who asks for one is told to take its usual name."""
    import ctypes.util

    usual = ctypes.util.find_library
    ctypes.util.find_library = lambda name: None
    try:
        yield
    finally:
        ctypes.util.find_library = usual
