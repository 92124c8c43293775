"""The net inside a bundle of stage ``inside``, and the bundle written anew by the code as it stands, the same weights:
``python -m engines.mouthbank.inside.again BUNDLE --out FOLDER --version VERSION``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from engines.mouthbank.inside.network import InsideNet, Shape
from engines.mouthbank.inside.stage import export_bundle
from realtime_dub.errors import BundleError
from realtime_dub.inference.bundle import load
from realtime_dub.inference.spec import PaintSpec


def net_of(folder: Path) -> InsideNet:
    """The net that a bundle holds, ready to paint. Raises BundleError where there is another one."""
    spec = load(folder).spec
    if not isinstance(spec, PaintSpec):
        raise BundleError("no net for the inside of mouths in", str(folder), "give a bundle of stage inside")
    weights = onnx.load(str(folder / spec.model)).graph.initializer
    tensors = {each.name: torch.from_numpy(np.array(numpy_helper.to_array(each), np.float32)) for each in weights}
    net = InsideNet(Shape(width=len(tensors["light.layers.0.weight"])))
    known = net.state_dict()
    known.update({name: value for name, value in tensors.items() if name in known})
    net.load_state_dict(known)
    return net.eval().requires_grad_(False)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a bundle anew, its weights as they are.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--version", required=True)
    arguments = parser.parse_args()
    learnt_from = load(arguments.bundle).spec.training_data
    export_bundle(net_of(arguments.bundle), arguments.out, arguments.version, learnt_from)


if __name__ == "__main__":
    main()
