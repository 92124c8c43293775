"""What each backend needs to be installed, found without loading it, and what to do where it is missing."""

from __future__ import annotations

import contextlib
import platform
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from realtime_dub.errors import DependencyError

WIDE = ("avx", "fma", "amx", "sve", "asimd")


class Needs(NamedTuple):
    """Of one backend."""

    modules: tuple[str, ...]  # what it imports
    packages: tuple[str, ...]  # what they come in; each that is there goes by its version into an engine's manifest
    install: str
    native: bool = False  # what is built is machine code, for a processor that knows the same instructions


_ORT = ("onnxruntime", "onnxruntime-gpu")
NEEDS = {
    "cpu": Needs(("onnxruntime",), _ORT, "pip install onnxruntime"),
    "cuda": Needs(("onnxruntime",), _ORT, "run: pip install 'realtime-dub[gpu]' && make gpu"),
    "tensorrt": Needs(("tensorrt",), ("tensorrt-cu13", "tensorrt-cu12"), "run: pip install 'realtime-dub[tensorrt]'"),
    "tensorrt-ep": Needs(
        ("onnxruntime", "tensorrt"),
        (*_ORT, "tensorrt-cu13", "tensorrt-cu12"),
        "run: pip install 'realtime-dub[gpu,tensorrt]' && make gpu",
    ),
    "tensorrt-rtx": Needs(
        ("tensorrt_rtx",), ("tensorrt-rtx-cu13", "tensorrt-rtx-cu12"), "run: pip install 'realtime-dub[tensorrt-rtx]'"
    ),
    "tensorrt-rtx-ep": Needs(
        ("onnxruntime", "onnxruntime_ep_nv_tensorrt_rtx"),
        ("onnxruntime", "onnxruntime-ep-nv-tensorrt-rtx-cu13", "onnxruntime-ep-nv-tensorrt-rtx-cu12"),
        "run: pip install 'realtime-dub[tensorrt-rtx]'",
    ),
    "torch-tensorrt": Needs(
        ("torch", "torch_tensorrt"), ("torch", "torch-tensorrt"), "run: pip install 'realtime-dub[torch-tensorrt]'"
    ),
    "torch-aot": Needs(("torch",), ("torch",), "run: pip install 'realtime-dub[train]'", native=True),
}


def missing(backend: str) -> str:
    """The first module that ``backend`` needs and that is not installed; "" where all are."""
    needs = NEEDS.get(backend)
    return next((each for each in needs.modules if find_spec(each) is None), "") if needs else ""


def require(backend: str) -> None:
    """Raises DependencyError, with the line that installs it, where something of ``backend`` is missing."""
    if name := missing(backend):
        raise DependencyError(f"the backend {backend} needs", name, NEEDS[backend].install)


def versions(backend: str) -> dict[str, str]:
    """Of the packages of ``backend`` that are installed, and of the processor where it builds for that."""
    needs = NEEDS.get(backend)
    found = {name: version for name in (needs.packages if needs else ()) if (version := _version(name))}
    return found | ({"processor": _processor()} if needs and needs.native else {})


def _processor() -> str:
    """Its kind, and those of its instructions that compilers choose by."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
        flags = next((line.split() for line in lines if line.startswith(("flags", "Features"))), [])
        wide = sorted({each for each in flags if each.startswith(WIDE)})
        return " ".join([platform.machine(), *wide])
    return platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
