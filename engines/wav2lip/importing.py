"""``import-engine wav2lip``: a checkpoint of PyTorch, or an ONNX file, to a bundle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from engines.common import crop_bundle, imported
from engines.wav2lip.layers import BANDS, FRAMES, SIZE
from engines.wav2lip.weights import read_weights
from realtime_dub.audio.frontends.painter_mel import PainterMelSpec
from realtime_dub.errors import BundleError
from realtime_dub.inference.contract import Declared
from realtime_dub.inference.spec import MOST_PIXELS, CropSpec, CropTaskSpec, Shape, TensorSpec
from realtime_dub.mouth.painter.layout import Sizes, layout_of
from realtime_dub.validation import first_problem

# A window began 40 ms before its frame when the network was trained, and was cut down to whole hops; its last hop is
# this much behind the frame.
LOOK_AHEAD_MS = 143
LICENCE = "non-commercial: personal and research use only"
NOTICE = (
    "Weights of Wav2Lip (K R Prajwal, Rudrabha Mukhopadhyay, Vinay P. Namboodiri, C V Jawahar: A Lip Sync Expert Is "
    "All You Need for Speech to Lip Generation In The Wild, ACM Multimedia 2020), trained on LRS2, whose licence "
    "forbids commercial use. They were brought by whoever imported them, and did not come with this program."
)


def import_weights(path: Path, out: Path) -> None:
    """Write the bundle ``out`` of ``path``. Raises UserError."""
    crop_bundle.check_place(out)
    if path.suffix.lower() == ".onnx":
        _import_graph(path, out)
        return
    weights = read_weights(path)
    graph = imported.graph_of("wav2lip")
    inputs, outputs = ([_tensor(*port) for port in ports.items()] for ports in (graph.INPUTS, graph.OUTPUTS))
    crop_bundle.write(out, _spec(SIZE, inputs, outputs), graph.model_of(weights), ours=True)


def _import_graph(path: Path, out: Path) -> None:
    """What a graph is made of is its maker's: it is opened apart, and known by the sizes of its tensors alone."""
    model, session = imported.opened_apart(path)
    pixels = _pixels(session.inputs)
    try:
        inputs, outputs = _tensors(session.inputs), _tensors(session.outputs)
        spec = _spec(pixels, inputs, outputs)
    except ValidationError as error:
        what = f"{path.name}: a tensor's {first_problem(error).what}"
        raise BundleError("no network that paints faces:", what, "choose another") from error
    named = [(each.name, each.shape) for each in inputs], [(each.name, each.shape) for each in outputs]
    layout_of(path.name, *named, Sizes(FRAMES, BANDS, pixels))
    crop_bundle.write(out, spec, model, ours=False)


def _pixels(inputs: Sequence[Declared]) -> int:
    """A side of the face that it is shown; Wav2Lip's own where none is said."""
    sides = [side for each in inputs if len(each.shape) == 4 for side in each.shape[2:3] if isinstance(side, int)]
    return max([side for side in sides if 16 <= side <= MOST_PIXELS and side != BANDS], default=SIZE)


def _tensors(found: Sequence[Declared]) -> list[TensorSpec]:
    return [_tensor(each.name, _shape(each.shape)) for each in found]


def _tensor(name: str, shape: Shape) -> TensorSpec:
    return TensorSpec.model_validate({"name": name, "shape": shape})


def _shape(declared: Sequence[object]) -> Shape:
    """The first axis may be open, for faces that go together."""
    sizes = [size if isinstance(size, int) and size > 0 else None for size in declared]
    if sizes and sizes[0] is None:
        return ("batch", *sizes[1:])
    return tuple(sizes)


def _spec(pixels: int, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> CropTaskSpec:
    return CropTaskSpec(
        format=2,
        task="crop",
        name="wav2lip" if pixels == SIZE else f"wav2lip-{pixels}",
        version="",
        engine="wav2lip",
        model=crop_bundle.MODEL,
        audio=PainterMelSpec(),
        look_ahead_ms=LOOK_AHEAD_MS,
        window_frames=FRAMES,
        crop=CropSpec(size=pixels, hidden_from=0.5),
        inputs=tuple(inputs),
        states=(),
        outputs=tuple(outputs),
        licence=LICENCE,
        notice=NOTICE,
        training_data=(),
        sha256={crop_bundle.MODEL: crop_bundle.UNHASHED},
    )
