"""A network as PyTorch has it, behind the contract of a session: what was trained, to compare the exported with."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy.typing as npt
import torch

from engines.common.engine import folder_of
from realtime_dub.inference.bundle import Bundle
from realtime_dub.inference.contract import Arrays, Declared
from realtime_dub.inference.spec import BundleSpec
from realtime_dub.inference.tensors import declared_by


class TorchSession:
    """``module``: takes the spec's inputs and states in their order, and gives its outputs and states."""

    def __init__(self, module: torch.nn.Module, spec: BundleSpec, backend: str = "torch", device: str = "cpu") -> None:
        self.backend, self._module, self._device = backend, module, device
        one_thread()
        expected = declared_by(spec)
        self._in, self._out = list(expected.inputs), list(expected.outputs)
        self.inputs: Sequence[Declared] = [Declared(n, "tensor(float)", s) for n, s in expected.inputs.items()]
        self.outputs: Sequence[Declared] = [Declared(n, "tensor(float)", s) for n, s in expected.outputs.items()]

    def run(self, feeds: Arrays) -> dict[str, npt.NDArray[Any]]:
        # Compiled programs take memory as it lies, and states come back as views of larger tensors.
        given = [torch.from_numpy(feeds[name]).contiguous().to(self._device) for name in self._in]
        with torch.inference_mode():
            made = self._module(*given)
        results = made if isinstance(made, tuple | list) else (made,)
        return {name: value.float().cpu().numpy() for name, value in zip(self._out, results, strict=True)}


def one_thread() -> None:
    """Layers of a stream are small, and a second thread spins between them: on two busy cores a call took 140 to 230 ms
    of processor time with two threads, and takes 11 with one.
    """
    torch.set_num_threads(1)


def trained_session(bundle: Bundle) -> TorchSession | None:
    """The net inside a bundle, on the processor; None where it cannot be taken out."""
    net = trained(bundle)
    return None if net is None else TorchSession(net, bundle.spec)


def trained(bundle: Bundle) -> torch.nn.Module | None:
    """The net inside a bundle, if its engine's room can take it out again (``trained`` in its engine.py)."""
    folder = folder_of(bundle.spec.engine)
    if not (folder / "engine.py").is_file():
        return None
    take_out = getattr(import_module(f"engines.{folder.name}.engine"), "trained", None)
    found: torch.nn.Module | None = None if take_out is None else take_out(bundle.folder)
    return found
