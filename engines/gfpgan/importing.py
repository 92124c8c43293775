"""``import-engine gfpgan``: a published checkpoint, or an ONNX file, to a bundle for ``--enhancer``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from engines.common import imported
from engines.gfpgan.layers import PUBLISHED
from engines.gfpgan.weights import read_weights
from realtime_dub.errors import BundleError
from realtime_dub.inference.bundle import load
from realtime_dub.inference.contract import Declared
from realtime_dub.inference.sandbox.session import SandboxSession
from realtime_dub.inference.spec import MOST_PIXELS, RestoreSpec, TensorSpec
from realtime_dub.mouth.avatar.restoring import RestoreNetwork

MODEL = "network.onnx"
UNHASHED = "0" * 64  # in a spec until its network is written
LICENCE = "Apache 2.0, with parts for research alone (StyleGAN2, FFHQ, DFDNet): not for commercial use"
NOTICE = (
    "Weights of GFPGAN (Xintao Wang, Yu Li, Honglun Zhang, Ying Shan: Towards Real-World Blind Face Restoration with "
    "Generative Facial Prior, CVPR 2021; THL A29 Limited), trained on FFHQ, whose licence is CC BY-NC-SA 4.0. They "
    "were brought by whoever imported them, and did not come with this program."
)
OTHER = "give a network that takes a face and gives one of the same size"


def import_weights(path: Path, out: Path) -> None:
    """Write the bundle ``out`` of ``path``. Raises UserError."""
    imported.check_place(out, MODEL)
    if path.suffix.lower() == ".onnx":
        _import_graph(path, out)
        return
    shape, weights = read_weights(path)
    graph = imported.graph_of("gfpgan")
    inputs, outputs = ([TensorSpec(name=n, shape=s) for n, s in each.items()] for each in graph.ports(shape))
    _write(out, _spec(shape.size, inputs, outputs), graph.model_of(shape, weights), ours=True)


def _import_graph(path: Path, out: Path) -> None:
    """What a graph is made of is its maker's: it is opened apart, and known by the sizes of its tensors alone."""
    model, session = imported.opened_apart(path)
    if len(session.inputs) != 1 or not (pictures := [each for each in session.outputs if _pixels(each)]):
        raise BundleError("no network that restores faces:", f"{path.name}: {_listed(session)}", OTHER)
    size = _pixels(session.inputs[0])
    same = [each for each in pictures if _pixels(each) == size]
    if size is None or len(same) != 1:
        raise BundleError("no network that restores faces:", f"{path.name}: {_listed(session)}", OTHER)
    spec = _spec(size, [_tensor(session.inputs[0], size)], [_tensor(same[0], size)], signed_rgb=True)
    _write(out, spec, model, ours=False)


def _pixels(declared: Declared) -> int | None:
    """A side of the picture that a tensor is; the published one where none is said; None where it is no picture."""
    shape = declared.shape
    if len(shape) != 4 or shape[1] not in (3, None) or isinstance(shape[1], str):
        return None
    sides = [side if isinstance(side, int) and side > 0 else PUBLISHED.size for side in shape[2:]]
    return sides[0] if sides[0] == sides[1] and 16 <= sides[0] <= MOST_PIXELS else None


def _tensor(declared: Declared, size: int) -> TensorSpec:
    first = declared.shape[0]
    return TensorSpec(name=declared.name, shape=(1 if first == 1 else "batch", 3, size, size))


def _listed(session: SandboxSession) -> str:
    told = [f"{each.name[:40]} {list(each.shape)}" for each in (*session.inputs[:2], *session.outputs[:2])]
    return f"its tensors are {', '.join(told)}"


def _spec(
    size: int, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], signed_rgb: bool = False
) -> RestoreSpec:
    return RestoreSpec(
        format=2,
        task="restore",
        name="gfpgan",
        version="",
        engine="avatar",
        model=MODEL,
        size=size,
        signed_rgb=signed_rgb,
        inputs=tuple(inputs),
        states=(),
        outputs=tuple(outputs),
        licence=LICENCE,
        notice=NOTICE,
        training_data=(),
        sha256={MODEL: UNHASHED},
    )


def _write(out: Path, spec: RestoreSpec, model: bytes, ours: bool) -> None:
    imported.write(out, spec, model, lambda: RestoreNetwork(load(out)), ours)
