"""What an engine says of itself before anything of it is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Output = Literal["nothing", "patch", "frame"]


@dataclass(frozen=True)
class Engine:
    """An engine as the registry knows it. Names are ``module:attribute``, and are loaded when used.

    ``make`` gives a generator (``mouth/contract.py``); it is called with those of its ``options`` that were given.
    """

    name: str
    summary: str  # one line, for lists
    make: str
    options: frozenset[str] = frozenset()  # of ``registry.OPTIONS``
    output: Output = "patch"
    blendshapes: bool = False  # its generator GivesBlendshapes
    needs_live_face: bool = True  # nothing is generated for a frame without one
    needs_bundle: bool = False  # no network comes with the program: one is given
    file_batch: int = 1  # frames of a file that its generator takes together: more, where it GeneratesBatches
    # What it learns of a person: an :class:`~realtime_dub.mouth.contract.IdentityKind`; None where it learns nothing.
    identity: str | None = None
    # What this machine can make of its networks, for ``doctor``: a function of the engine's name and of the folder of a
    # bundle or None, which gives what was measured, each with ``live`` and as a line. None where nothing is measured.
    holds: str | None = None

    @property
    def makes_mouths(self) -> bool:
        return self.output != "nothing"

    @property
    def learns_identity(self) -> bool:
        return self.identity is not None
