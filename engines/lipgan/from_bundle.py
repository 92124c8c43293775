"""The slim painter inside a bundle, to train on: ``python -m engines.lipgan.from_bundle BUNDLE --data DIR --out RUN``.

A bundle's norms lie in its convolutions. So each norm is made anew, of what it is given for some faces of the data:
afterwards it gives what the bundle gives, in training and in use. RUN/slim gets what that stage would have left, for
``start`` in a configuration. What tells the motion is in no bundle; it begins anew.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from engines.common.dataset import Dataset, evenly
from engines.common.results import NET, write_net
from engines.lipgan.disturbing import ROOM, middle
from engines.lipgan.draws import Batch, Draws
from engines.lipgan.export import MODEL
from engines.lipgan.faces import Faces, gathered
from engines.lipgan.slim import CROP, FRAMES, Shape, SlimNet
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.errors import BundleError

SHORT = ".short"  # of the names of weights that are stored in 16 bits
SHOWN = 192  # faces by which the norms are made


def slim_net(folder: Path, batch: Batch) -> SlimNet:
    """The net of a bundle, its norms made of ``batch``. Raises BundleError where it is no slim painter's."""
    graph = onnx.load(str(folder / MODEL)).graph
    tensors = {each.name.removesuffix(SHORT): _tensor(each) for each in graph.initializer}
    net = SlimNet(_shape(tensors, folder)).eval()
    for name, layer, norm in _normed(net):
        if f"{name}.weight" not in tensors:
            raise BundleError("no slim painter in", f"{folder}: no {name}", "give a bundle of --stage slim")
        layer.weight.data.copy_(tensors[f"{name}.weight"])
        norm.bias.data.copy_(tensors[f"{name}.bias"])
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    last = net.paint[-1]
    assert isinstance(last, nn.Conv2d)
    last.load_state_dict({each: tensors[f"paint.1.{each}"] for each in ("weight", "bias")})
    _settle(net, batch)
    return net


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return torch.from_numpy(np.array(numpy_helper.to_array(stored), np.float32))


def _shape(tensors: dict[str, Tensor], folder: Path) -> Shape:
    """Its sizes, by its convolutions' outputs."""
    faces = [f"face.{k}.{'0.0' if k in (1, 2, 3) else '0'}.weight" for k in range(5)]
    audio = ["audio.0.0.weight", "audio.2.1.0.weight", "audio.4.0.weight", "audio.6.0.weight"]
    if missing := [name for name in (*faces, *audio, "audio.8.0.weight") if name not in tensors]:
        raise BundleError("no slim painter in", f"{folder}: no {missing[0]}", "give a bundle of --stage slim")
    widths, audio_widths = (tuple(len(tensors[name]) for name in names) for names in (faces, audio))
    return Shape(widths, audio_widths, len(tensors["audio.8.0.weight"]))  # type: ignore[arg-type]


def _normed(net: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.ConvTranspose2d, nn.BatchNorm2d]]:
    """Every convolution behind which a norm lies, by its name."""
    for name, each in net.named_modules():
        if isinstance(each, nn.Sequential):
            place, last = "", None
            for own, layer in each.named_children():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                    place, last = f"{name}.{own}", layer
                elif isinstance(layer, nn.BatchNorm2d) and last is not None:
                    yield place, last, layer


@torch.no_grad()
def _settle(net: SlimNet, batch: Batch) -> None:
    """Give every norm the mean and spread of what it is given, and have it give that back, moved by its bias."""

    def settled(norm: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        variance, mean = torch.var_mean(given[0], (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.add_(mean)

    hooks = [norm.register_forward_pre_hook(settled) for _, _, norm in _normed(net)]
    net(batch.mel, batch.face, batch.reference)
    for hook in hooks:
        hook.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders made by prepare-dataset")
    parser.add_argument("--tracks", type=int, default=60, help="of which faces are taken")
    parser.add_argument("--out", type=Path, required=True, help="the run to write")
    args = parser.parse_args()
    dataset, spec = Dataset(*args.data), PainterMelSpec()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "faces"
        gathered(dataset, evenly(dataset.part("train"), args.tracks), CROP, spec, path, ROOM)
        draws = Draws(Faces(path, spec, FRAMES), SHOWN, shut=1.0)
        net = slim_net(args.bundle, middle(draws.draw(np.random.default_rng(0))))
    (args.out / "slim").mkdir(parents=True, exist_ok=True)
    write_net(args.out / "slim" / NET, net)
    print(f"{args.out}: {sum(each.numel() for each in net.parameters())} weights")


if __name__ == "__main__":
    main()
