"""EP context files: networks whose nodes are engines, written where they can be, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from test_inference import summing_net, summing_spec

from export import ep_context
from export.trials import Asked, trial
from realtime_dub.errors import BundleError
from realtime_dub.inference import libraries
from realtime_dub.inference.backends import ort_gpu, ort_rtx
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.backends.tensorrt import wanted
from realtime_dub.inference.bundle import load_default
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.engine_cache import EngineCache, Surroundings

pytestmark = pytest.mark.computes

GPU = Surroundings(gpu="A card", capability="8.9", driver="580.1")
INSTALL = "needs TensorRT for RTX: pip install 'realtime-dub[tensorrt-rtx]'"


def attributes(model: onnx.ModelProto) -> dict[str, object]:
    [node] = model.graph.node
    assert (node.domain, node.op_type) == ("com.microsoft", "EPContext")
    return {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}


def test_a_file_says_whose_engine_it_holds_and_for_which_gpus() -> None:
    engine = bytes(range(256)) * 4
    model = onnx.load_from_string(ep_context.context_of(engine, summing_spec()))
    onnx.checker.check_model(model)
    told = attributes(model)
    assert told["ep_cache_context"] == engine
    assert (told["embed_mode"], told["main_context"]) == (1, 0)
    assert (told["source"], told["hardware_architecture"]) == (b"NvTensorRTRTXExecutionProvider", b"80+")
    assert [each.name for each in model.graph.input] == ["x", "past"]
    assert [each.name for each in model.graph.output] == ["y", "next"]
    sizes = [[d.dim_param or d.dim_value for d in each.type.tensor_type.shape.dim] for each in model.graph.input]
    assert sizes == [["batch", 4], ["batch", 4]]


def test_onnx_runtime_reads_it_and_misses_its_provider_alone() -> None:
    with pytest.raises(Exception, match="EPContext") as caught:
        OnnxSession(ep_context.context_of(b"engine", summing_spec()))
    assert "attribute" not in str(caught.value)


def test_one_that_was_made_for_any_gpu_is_taken_on_this_one(tmp_path: Path) -> None:
    cache, asked = EngineCache(tmp_path), wanted(ort_rtx.EP, summing_net(), Opening(spec=summing_spec()))
    made = cache.get(asked, ort_rtx.anywhere(), lambda folder: (folder / ort_rtx.CONTEXT).write_bytes(b"1") and None)
    here = GPU.model_copy(update={"libraries": ort_rtx.anywhere().libraries})
    assert ort_rtx.kept(cache, asked, here, lambda _: pytest.fail("it is there")) == made


@pytest.mark.parametrize("damage", ["another library", "another GPU's", "changed"])
def test_one_that_does_not_fit_is_made_anew(tmp_path: Path, damage: str) -> None:
    cache, asked = EngineCache(tmp_path), wanted(ort_rtx.EP, summing_net(), Opening(spec=summing_spec()))
    there = {
        "another library": ort_rtx.anywhere().model_copy(update={"libraries": {"onnxruntime": "0.1"}}),
        "another GPU's": GPU.model_copy(update={"gpu": "Another", "libraries": ort_rtx.anywhere().libraries}),
        "changed": ort_rtx.anywhere(),
    }[damage]
    old = cache.get(asked, there, lambda folder: (folder / ort_rtx.CONTEXT).write_bytes(b"1") and None)
    if damage == "changed":
        (old / ort_rtx.CONTEXT).write_bytes(b"2")
    here = GPU.model_copy(update={"libraries": ort_rtx.anywhere().libraries})
    folder = ort_rtx.kept(cache, asked, here, lambda to: (to / ort_rtx.CONTEXT).write_bytes(b"new") and None)
    assert (folder / ort_rtx.CONTEXT).read_bytes() == b"new"
    [entry] = cache.entries(lambda *_: here)
    assert (entry.manifest.surroundings, entry.why_not) == (here, "")


def test_tensorrts_file_lies_beside_its_engines_and_names_them_by_no_absolute_path(tmp_path: Path) -> None:
    told = ort_gpu.building(tmp_path / "entry", tmp_path / "timing", summing_spec())
    assert told["trt_dump_ep_context_model"] == "1"
    assert told["trt_ep_context_file_path"] == str(tmp_path / "entry" / "context.onnx")
    assert "trt_engine_cache_path" not in told
    assert told["trt_profile_max_shapes"] == "x:16x4,past:16x4"
    first, *others = ort_gpu.providers(1, told)
    assert first == ("TensorrtExecutionProvider", told | {"device_id": "1", "trt_cuda_graph_enable": "1"})
    assert others == [("CUDAExecutionProvider", {"device_id": "1"}), "CPUExecutionProvider"]


def test_a_network_that_names_files_beside_it_is_opened_by_its_path(tmp_path: Path) -> None:
    model, path = onnx.load_from_string(summing_net()), tmp_path / "net.onnx"
    ones = onnx.numpy_helper.from_array(np.ones((1, 4), np.float32), "ones")
    model.graph.initializer.append(ones)
    model.graph.node.append(onnx.helper.make_node("Add", ["y", "ones"], ["more"]))
    model.graph.output.append(onnx.helper.make_tensor_value_info("more", onnx.TensorProto.FLOAT, ["batch", 4]))
    onnx.save_model(model, path, save_as_external_data=True, location="weights", size_threshold=0)
    feeds = {name: np.zeros((1, 4), np.float32) for name in ("x", "past")}
    assert OnnxSession(path).run(feeds)["more"].tolist() == [[1, 1, 1, 1]]
    with pytest.raises(Exception, match="weights"):
        OnnxSession(path.read_bytes())


def test_a_real_engine_becomes_a_file_without_a_gpu(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason=INSTALL)
    if libraries.missing(ort_rtx.EP):
        pytest.skip(INSTALL)
    bundle = load_default("mouthbank")
    model = (bundle.folder / bundle.spec.model).read_bytes()
    opening = Opening(bundle.label, bundle.spec, cache=tmp_path)
    folder = ep_context.built(model, opening)
    made = onnx.load(folder / ort_rtx.CONTEXT)
    engine = attributes(made)["ep_cache_context"]
    assert isinstance(engine, bytes)
    assert len(engine) > 5_000_000
    assert {each.name for each in made.graph.input} > {"mel"}
    [entry] = EngineCache(tmp_path).entries()
    assert entry.why_not == ""
    assert (entry.manifest.surroundings, entry.manifest.wanted.backend) == (ort_rtx.anywhere(), ort_rtx.EP)
    assert ep_context.built(model, opening) == folder
    found = trial(bundle, ort_rtx.EP, Asked(cache=EngineCache(tmp_path), calls=4))
    assert (found.state, found.engine_bytes) == ("built", (folder / ort_rtx.CONTEXT).stat().st_size)


def test_a_builder_of_another_version_than_the_plug_ins_library_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tensorrt_rtx", reason=INSTALL)
    monkeypatch.setattr(ep_context, "plugin_version", lambda: "0.1.2")
    with pytest.raises(BundleError, match=r"cannot write an EP context file of net: .*the plug-in has 0\.1\.2"):
        ep_context.built(summing_net(), Opening("net", summing_spec(), cache=tmp_path))
    assert not list(tmp_path.iterdir())
