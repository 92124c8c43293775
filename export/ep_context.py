"""EP context files: a network of one node that is an engine, as ONNX Runtime's plug-in of TensorRT for RTX reads it.

The plug-in makes such a file itself, on a machine with a GPU. The builder that it shares with ``tensorrt_rtx`` needs
none: so a file can be made on any machine, for every GPU from Ampere on. The node and its attributes are those that the
plug-in writes (its ``onnx_ctx_model_helper.cc``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from realtime_dub.errors import BundleError
from realtime_dub.inference import libraries
from realtime_dub.inference.backends.ort_rtx import CONTEXT, EP, PLUGIN, PLUGIN_EP, anywhere
from realtime_dub.inference.backends.tensorrt import spec_of, wanted
from realtime_dub.inference.backends.tensorrt_build import build
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache
from realtime_dub.inference.spec import BundleSpec, Shape
from realtime_dub.inference.tensors import declared_by

BUILDER = "tensorrt_rtx"
DOMAIN, OPERATOR = "com.microsoft", "EPContext"
AMPERE_AND_LATER = "80+"
OPSET, IR = 17, 8


def built(model: bytes, opening: Opening) -> Path:
    """The entry's folder with the file ``CONTEXT`` of a network, built if it has to be.

    Raises DependencyError without the builder, BundleError where it is another version than the library in the plug-in:
    engines hold for one.
    """
    libraries.require("tensorrt-rtx")
    trt, spec, cache = import_module(BUILDER), spec_of(opening), EngineCache(opening.cache)
    ours, theirs = str(trt.__version__), plugin_version()
    if not theirs or not ours.startswith(theirs):
        what = f"{opening.name}: {BUILDER} is {ours}, the plug-in has {theirs or 'a library of unknown version'}"
        raise BundleError("cannot write an EP context file of", what, "install versions that belong together")

    def make(folder: Path) -> None:
        engine = build(trt, model, spec, opening.progress)
        (folder / CONTEXT).write_bytes(context_of(engine, spec))

    return cache.get(wanted(EP, model, opening), anywhere(), make, opening.progress)


def context_of(engine: bytes, spec: BundleSpec, hardware: str = AMPERE_AND_LATER) -> bytes:
    """The file with ``engine`` in it, for a network of ``spec``."""
    tensors, partition = declared_by(spec), f"{spec.name}_{spec.version}"
    node = helper.make_node(
        OPERATOR,
        list(tensors.inputs),
        list(tensors.outputs),
        name=partition,
        domain=DOMAIN,
        main_context=0,
        embed_mode=1,
        ep_cache_context=engine,
        hardware_architecture=hardware,
        onnx_model_filename=spec.model,
        partition_name=partition,
        ep_sdk_version="1.0",
        source=PLUGIN_EP,
    )
    graph = helper.make_graph([node], partition, list(_infos(tensors.inputs)), list(_infos(tensors.outputs)))
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    made: onnx.ModelProto = helper.make_model(graph, opset_imports=opsets, ir_version=IR)
    return bytes(made.SerializeToString())


def plugin_version() -> str:
    """Of the library that the plug-in brings, by its file's name: "1.7.1"; "" where that does not say it."""
    found = find_spec(PLUGIN)
    folders = [Path(each) for each in (found.submodule_search_locations or ())] if found else []
    names = [path.name for folder in folders for path in folder.glob("libtensorrt_rtx.so.*")]
    versions = [match[1] for name in names if (match := re.fullmatch(r"libtensorrt_rtx\.so\.(\d+\.\d+\.\d+)", name))]
    return max(versions, default="")


def _infos(tensors: Mapping[str, Shape]) -> Iterable[onnx.ValueInfoProto]:
    """Sizes that are open keep their names."""
    for name, shape in tensors.items():
        sizes = [size if size is not None else f"{name}_{place}" for place, size in enumerate(shape)]
        yield helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)
