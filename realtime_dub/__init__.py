"""Live dubbing: a camera and a voice in, the person's own mouth speaking that voice out, picture and sound together.

For programs: :func:`dub_file`, :func:`run_live` and :class:`Dubber`; they are loaded when they are asked for.
"""

import os
from typing import TYPE_CHECKING, Any

# ONNX Runtime calls its vendor and numbers the machine in the user's home as soon as it is imported, and asks for this
# then and not later. Everything here that imports it has imported this package first.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from realtime_dub.api import DubbedFrame, Dubber, Report, dub_file, run_live

__version__ = "0.1.0"
__all__ = ["DubbedFrame", "Dubber", "Report", "dub_file", "run_live"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from realtime_dub import api

    return getattr(api, name)
