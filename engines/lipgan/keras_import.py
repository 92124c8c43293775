"""Weights of LipGAN's generators as its authors publish them, to a bundle: ``import-engine lipgan FILE.h5 -o FOLDER``.

Keras numbers layers in the order in which they are made, which is the order of ``network.py``: so the n-th convolution
of a file is the n-th here, and every shape has to agree. Kernels are (height, width, in, out) there, those of
transposed convolutions (height, width, out, in); PyTorch has them last to first.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engines.common import Array
from engines.lipgan.keras_file import LAYER, REFUSED
from realtime_dub.errors import BundleError, ConfigError, DependencyError
from realtime_dub.inference.bundle import SPEC

if TYPE_CHECKING:  # torch is loaded when it is needed
    from engines.lipgan.network import Generator, Shape

MOST_FILE = 1_500_000_000  # bytes: with an optimizer's moments it has three times its weights
MOST_S = 180
LICENCE = "non-commercial: personal and research use only"
NOTICE = (
    "Weights of LipGAN (K R Prajwal, Rudrabha Mukhopadhyay, Jerin Philip, Abhishek Jha, Vinay Namboodiri, C V Jawahar: "
    "Towards Automatic Face-to-Face Translation, ACM Multimedia 2019), trained on LRS2, whose licence forbids "
    "commercial use. They were brought by whoever imported them, and did not come with this program."
)
Weights = Mapping[str, Array]  # by LAYER/PART


def import_weights(path: Path, out: Path) -> None:
    """Write the bundle ``out`` of the Keras file ``path``. Raises UserError."""
    check_place(out)
    weights = read_weights(path)
    try:
        from engines.lipgan.export import export_bundle
        from engines.lipgan.painters import CROP
    except ImportError as error:
        do = 'run: pip install "realtime-dub[train]"'
        raise DependencyError("cannot build the network without", error.name or str(error), do) from error
    net = generator_of(path.name, weights)
    version = digest(weights)[:8]
    export_bundle(net, CROP, out, f"lipgan-{net.shape.kind}", version, (), LICENCE, NOTICE)


def check_place(out: Path) -> None:
    """Raises ConfigError where ``out`` is no new or empty folder, nor one that an import has written."""
    known = {SPEC, "painter.onnx"}
    if out.exists() and not (out.is_dir() and {each.name for each in out.iterdir()} <= known):
        raise ConfigError("cannot write a bundle into", f"{out}: there is something else", "name a new folder")


def read_weights(path: Path) -> Weights:
    """Every weight of the file. Raises BundleError for what is no file of weights."""
    if not path.is_file():
        raise BundleError("cannot read", f"{path}: there is no such file", "choose an .h5 file")
    if path.stat().st_size > MOST_FILE:
        raise _refused(path, f"it has more than {MOST_FILE // 1_000_000} MB")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "weights.npz"
        _read_apart(path, kept)
        with np.load(kept, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def _read_apart(path: Path, kept: Path) -> None:
    command = [sys.executable, "-m", "engines.lipgan.keras_file", str(path.resolve()), str(kept)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MOST_S, check=False)
    except subprocess.TimeoutExpired:
        raise _refused(path, f"it is not read within {MOST_S} s") from None
    if done.returncode == REFUSED:
        raise _refused(path, " ".join(done.stdout.split())[:300])
    if "No module named 'h5py'" in done.stderr:
        raise DependencyError("cannot read .h5 files without", "h5py", 'run: pip install "realtime-dub[train]"')
    if done.returncode or not kept.exists():
        raise _refused(path, "the process that read it ended")


def generator_of(name: str, weights: Weights, shapes: Sequence[Shape] = ()) -> Generator:
    """The generator that the weights belong to: of the published ones, or of ``shapes``.

    Raises BundleError where they fit none.
    """
    import torch

    from engines.lipgan.network import Generator, Shape

    problems = []
    for shape in shapes or (Shape("residual"), Shape("basic")):
        with torch.device("meta"):
            net = Generator(shape)
        try:
            found = dict(placed(net, weights))
        except ValueError as error:
            problems.append(f"as {shape.kind}: {error}")
            continue
        net.load_state_dict({key: torch.from_numpy(values) for key, values in found.items()}, assign=True)
        return net.eval().requires_grad_(False)
    raise BundleError("no weights of LipGAN:", f"{name}: {'; '.join(problems)}", "choose a generator that hears mel")


def placed(net: Generator, weights: Weights) -> Iterator[tuple[str, Array]]:
    """The net's tensors by name. Raises ValueError where the file has others."""
    from torch import nn

    named = {"conv2d": nn.Conv2d, "conv2d_transpose": nn.ConvTranspose2d, "batch_normalization": nn.BatchNorm2d}
    for kind, module in named.items():
        layers = numbered(weights, kind)
        there = [(name, each) for name, each in net.named_modules() if type(each) is module]
        if len(layers) != len(there):
            raise ValueError(f"{len(layers)} layers of kind {kind}, not {len(there)}")
        for layer, (name, each) in zip(layers, there, strict=True):
            for part, values in turned(layer, weights).items():
                wanted = tuple(getattr(each, part).shape)
                if part != "num_batches_tracked" and values.shape != wanted:
                    raise ValueError(f"{layer} has {part} {values.shape}, not {wanted}")
                yield f"{name}.{part}", values


def numbered(weights: Weights, kind: str) -> list[str]:
    """The layers of a kind, in the order in which they were made."""
    found = {name.partition("/")[0] for name in weights}
    matches = [match for name in found if (match := LAYER.fullmatch(name)) and match[1] == kind]
    return [match[0] for match in sorted(matches, key=lambda match: int((match[2] or "_0")[1:]))]


def turned(layer: str, weights: Weights) -> dict[str, Array]:
    """A layer's weights as PyTorch has them. Raises ValueError where one is missing."""
    parts = {name.partition("/")[2]: values for name, values in weights.items() if name.startswith(f"{layer}/")}
    try:
        if layer.startswith("batch_normalization"):
            return {
                "weight": parts["gamma"],
                "bias": parts["beta"],
                "running_mean": parts["moving_mean"],
                "running_var": parts["moving_variance"],
                "num_batches_tracked": np.zeros((), np.int64),
            }
        if parts["kernel"].ndim != 4:
            raise ValueError(f"{layer} has a kernel of {parts['kernel'].ndim} axes")
        return {"weight": np.ascontiguousarray(parts["kernel"].transpose(3, 2, 0, 1)), "bias": parts["bias"]}
    except KeyError as error:
        raise ValueError(f"{layer} has no {error.args[0]}") from error


def digest(weights: Weights) -> str:
    """Of all weights: two files of the same are the same version."""
    found = hashlib.sha256()
    for name in sorted(weights):
        found.update(name.encode() + np.ascontiguousarray(weights[name]).tobytes())
    return found.hexdigest()


def _refused(path: Path, why: str) -> BundleError:
    return BundleError("cannot use weights", f"{path}: {why}", "fetch the file again, or choose another")
