"""The backend ``torch-aot``: the trained net itself, compiled ahead of time by AOTInductor to machine code.

Found by an entry point, as another package's is. What it compiles for the processor holds for processors that know
the same instructions; what it compiles for a GPU, for that one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from export.torch_session import TorchSession, one_thread
from realtime_dub.errors import BundleError, DependencyError
from realtime_dub.inference import profiles
from realtime_dub.inference.backends.tensorrt import spec_of, wanted
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache, Surroundings, surroundings

BACKEND = "torch-aot"
PROGRAM = "program.pt2"


class _Flat(torch.nn.Module):
    """Takes inputs and states as one tuple, whatever the net calls them: so their sizes are told as one."""

    def __init__(self, net: torch.nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *tensors: torch.Tensor) -> Any:
        return self.net(*tensors)


def open_program(model: bytes, opening: Opening) -> TorchSession:
    """Raises BundleError where it was not compiled yet: that takes the trained net, which a bundle's file is not."""
    spec, device = spec_of(opening), _device(opening)
    found = EngineCache(opening.cache).find(wanted(BACKEND, model, opening), _here(device))
    if found.folder is None:
        do = f"run: export-engine {spec.engine} --backend {BACKEND}"
        raise BundleError(f"cannot run on {BACKEND}", f"{opening.name}: {found.why}", do)
    program = torch._inductor.aoti_load_package(str(found.folder / PROGRAM), run_single_threaded=device == "cpu")
    return TorchSession(program, spec, BACKEND, device)


def compile_program(net: torch.nn.Module, model: bytes, opening: Opening) -> Path:
    """The folder with the program of ``net``, which is the trained net of the network ``model``.

    Takes about a minute, and a C++ compiler. Raises BundleError, DependencyError.
    """
    if opening.precision != "fp32":
        what = f"{opening.name} in {opening.precision}"
        raise BundleError(f"cannot compile for {BACKEND}", what, "use fp32, or another backend")
    device = _device(opening)
    one_thread()  # the program is written for as many as there are

    def make(folder: Path) -> None:
        exported = _exported(net, opening, device)
        try:
            torch._inductor.aoti_compile_and_package(exported, package_path=str(folder / PROGRAM))
        except torch._inductor.exc.InvalidCxxCompiler as error:
            raise DependencyError(f"the backend {BACKEND} needs", "a C++ compiler", "install g++") from error

    return EngineCache(opening.cache).get(wanted(BACKEND, model, opening), _here(device), make, opening.progress)


def _exported(net: torch.nn.Module, opening: Opening, device: str) -> torch.export.ExportedProgram:
    found = profiles.ranges(spec_of(opening)).values()
    examples = tuple(torch.zeros(each.usual, device=device) for each in found)
    with torch.no_grad():
        flat = _Flat(net.eval().to(device))
        return torch.export.export(flat, examples, dynamic_shapes=(tuple(map(_open_sizes, found)),))


def _open_sizes(sizes: profiles.Range) -> dict[int, Any]:
    """Sizes that are not fixed, by their axis; alike ones are one."""
    pairs = enumerate(zip(sizes.least, sizes.most, strict=True))
    return {axis: torch.export.Dim(f"to_{most}", min=least, max=most) for axis, (least, most) in pairs if least != most}


def _device(opening: Opening) -> str:
    return f"cuda:{int(opening.device or 0)}" if torch.cuda.is_available() else "cpu"


def _here(device: str) -> Surroundings:
    return surroundings(BACKEND, device.partition(":")[2], any_gpu=device == "cpu")
