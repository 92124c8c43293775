"""Names that are imported when used; and libraries that do more when they are imported than they were asked for."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

# For parts of it that nobody uses here, MediaPipe loads a library that looks for every sound device of the machine, and
# one that starts programs to find fonts and writes down in the user's home what it found; and its own tasks, which is
# half of its time.
NOT_FOR_MEDIAPIPE = ("sounddevice", "matplotlib", "matplotlib.pyplot", "mediapipe.tasks", "mediapipe.tasks.python")


def python_path() -> str:
    """``PYTHONPATH`` of a process of ours: it finds this very package, wherever it is started."""
    return os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))


def resolve(where: str) -> Any:
    """What ``module:attribute`` names: tables name what they have to offer, and nothing is loaded before it is used."""
    module, attribute = where.split(":")
    return getattr(import_module(module), attribute)


@functools.cache
def installed(group: str) -> dict[str, EntryPoint]:
    """What other packages have to offer in the entry point group ``group``, by name; nothing of it is loaded."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=group)}


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
