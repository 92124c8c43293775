"""Networks that are exported: they agree with what was trained, narrower numbers within limits, streams together."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from test_inference import summing_spec  # noqa: E402

from export import bundles, forms, graph, parity, precision, speed  # noqa: E402
from export.inputs import Case, Feeds, cases, demo_voice  # noqa: E402
from export.parity import Caller, Difference, caller, checked, ssim  # noqa: E402
from export.torch_session import trained_session  # noqa: E402
from realtime_dub.errors import BundleError  # noqa: E402
from realtime_dub.inference.backends.ort import OnnxSession  # noqa: E402
from realtime_dub.inference.batching import BatchingSession  # noqa: E402
from realtime_dub.inference.bundle import Bundle  # noqa: E402
from realtime_dub.inference.contract import Opening  # noqa: E402
from realtime_dub.inference.engine_cache import EngineCache  # noqa: E402
from realtime_dub.inference.session import open_session  # noqa: E402
from realtime_dub.inference.variants import together  # noqa: E402

pytestmark = pytest.mark.usefixtures("home")


def test_a_bundle_does_what_the_trained_net_does_over_a_thousand_calls(motion: Bundle) -> None:
    trained = trained_session(motion)
    assert trained is not None
    some = [cases(motion.spec, 1_000)[0], *cases(motion.spec, 100)[1:]]
    found = checked(trained, motion.session("cpu"), motion.spec, some, "fp32")
    assert [(each.case, each.calls) for each in found] == [("recorded", 1_000), ("random", 100), ("silence", 50)]
    for each in found:
        assert each.passed
        assert each.worst <= 1e-4
        assert each.drift <= 1e-4
    [displacement] = [each for each in found[0].differences if each.output == "displacement"]
    assert displacement.scale > 0.1  # the built-in voice moves the mouth
    assert displacement.agreement == pytest.approx(1.0, abs=1e-6)


def test_a_net_that_cannot_be_taken_out_of_its_bundle_is_compared_with_its_file(mask: Bundle) -> None:
    assert trained_session(mask) is None
    model = bundles.network_of(mask)
    found = checked(forms.plain(model), mask.session("cpu"), mask.spec, cases(mask.spec, 10), "fp32")
    assert all(each.passed for each in found)
    assert found[0].differences[0].agreement == pytest.approx(1.0, abs=1e-4)


def test_every_network_is_shown_what_it_can_be_shown() -> None:
    shipped = [each for name in ("mouthbank", "own-texture", "lipgan", "landmark-dub", "speaker")
               for each in bundles.of(name, None, None)]  # fmt: skip
    assert len(shipped) > 10
    for bundle in shipped:
        found = checked(forms.plain(bundles.network_of(bundle)), bundle.session("cpu"), bundle.spec,
                        cases(bundle.spec, 2), "fp32")  # fmt: skip
        assert all(each.passed for each in found), (bundle.label, found)


def test_what_is_wrong_is_told(motion: Bundle) -> None:
    session = motion.session("cpu")

    class Wrong:
        backend, inputs, outputs = "wrong", session.inputs, session.outputs

        def __init__(self) -> None:
            self.calls = 0

        def run(self, feeds):  # type: ignore[no-untyped-def]
            self.calls += 1
            results = dict(session.run(feeds))
            results["displacement"] = results["displacement"] + (0.3 if self.calls == 5 else 0)
            results["speech"] = results["speech"] * (np.nan if self.calls == 7 else 1)
            return results

    found = checked(session, Wrong(), motion.spec, cases(motion.spec, 20)[:1], "fp32")[0]  # type: ignore[arg-type]
    by_name = {each.output: each for each in found.differences}
    assert not found.passed
    assert by_name["displacement"].worst == pytest.approx(0.3, abs=1e-3)
    assert by_name["displacement"].drift < 1e-4
    assert not by_name["speech"].finite
    assert by_name["features"].within("fp32")


def test_limits_grow_with_the_values() -> None:
    assert Difference("a", 9e-4, 0, 10.0, 0, True).within("fp32")
    assert not Difference("a", 9e-4, 0, 1.0, 0, True).within("fp32")
    assert not Difference("a", 0.0, 0, 1.0, 0, True, agreement=0.5).within("int8")


def test_half_of_the_width_is_near_enough(motion: Bundle, home: Path) -> None:
    form = forms.made(motion, "fp16", EngineCache(), 60)
    assert form.precision == "fp16"
    assert len(form.model) < 0.75 * len(graph.widened(graph.parsed(bundles.network_of(motion), "")).SerializeToString())
    session = open_session(bundles.network_of(motion), Opening(motion.label, motion.spec, precision="fp16"), "cpu")
    assert {each.kind for each in (*session.inputs, *session.outputs)} == {"tensor(float)"}
    found = checked(forms.plain(bundles.network_of(motion)), session, motion.spec, cases(motion.spec, 100), "fp16")
    assert all(each.passed for each in found)
    assert found[0].worst > 0


def tall_net() -> bytes:
    """``y = x * 90 000 / 90 000 + past``, which float16 cannot hold on the way, between layers that it can."""
    weights = {"tall": np.array([9e4], np.float32), "small": np.array([1 / 9e4], np.float32)}
    layers = [("Relu", ["x"], "relu"), ("Mul", ["relu", "tall"], "high"), ("Mul", ["high", "small"], "low")]
    layers += [("Add", ["low", "past"], "y"), ("Identity", ["y"], "next")]
    nodes = [onnx.helper.make_node(kind, given, [out], name=f"layer-{out}") for kind, given, out in layers]
    values = [onnx.helper.make_tensor_value_info(name, 1, ["batch", 4]) for name in ("x", "past", "y", "next")]
    stored = [onnx.numpy_helper.from_array(array, name) for name, array in weights.items()]
    made = onnx.helper.make_graph(nodes, "tall", values[:2], values[2:], stored)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def test_layers_that_half_of_the_width_spoils_stay_wide_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    model, spec = tall_net(), summing_spec()
    calls = [{"x": np.full((1, 4), 0.5 + place, np.float32)} for place in range(4)]
    some = [Case("random", calls)]

    def passes(narrow: bytes) -> list[parity.Parity]:
        return checked(forms.plain(model), OnnxSession(narrow), spec, some, "fp16")

    made = precision.half(model, spec, some, passes)
    assert "layer-high" in made.kept
    assert "layer-relu" not in made.kept
    assert all(each.passed for each in passes(made.model))
    monkeypatch.setattr(precision, "ROUNDS", 1)
    with pytest.raises(BundleError, match=r"cannot narrow to fp16 .*layers in float32 are not enough"):
        precision.half(model, spec, some, passes)


@pytest.mark.slow
def test_eight_bits_have_their_cost(motion: Bundle) -> None:
    ways = forms.eight_bits(motion, cases(motion.spec, 60))
    assert [narrowed.way for narrowed, _ in ways] == ["int8 static", "int8 dynamic"]
    assert len(ways[0][0].model) < len(bundles.network_of(motion))
    for _, found in ways:
        [displacement] = [each for each in found[0].differences if each.output == "displacement"]
        assert displacement.agreement is not None
        assert displacement.agreement > 0.9
        assert displacement.worst > 1e-4


def test_two_streams_through_one_call_come_to_what_each_comes_to_alone(
    motion: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime_dub.inference.batching.PRESENT_S", 60.0)
    assert forms.made_together(motion, forms.made(motion, "fp32", EngineCache()), EngineCache()) is not None
    model, opening = bundles.network_of(motion), Opening(motion.label, motion.spec)
    alone = open_session(model, opening, "cpu")
    both = open_session(model, replace(opening, streams=2), "cpu")
    assert isinstance(both, BatchingSession)
    spoken = [each.calls for each in cases(motion.spec, 25)[:2]]
    wanted = [results_of(caller(alone, motion.spec), own) for own in spoken]
    step = threading.Barrier(2)
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda own: results_of(caller(both, motion.spec), own, step), spoken))
    for one, other in zip(wanted, found, strict=True):
        for mine, together_with in zip(one, other, strict=True):
            assert all(np.allclose(mine[name], together_with[name], atol=1e-5) for name in mine)
    assert both.calls < 2 * 25


def results_of(call: Caller, calls: list[Feeds], step: threading.Barrier | None = None) -> list[dict[str, Any]]:
    """Of a stream; in step with others, where there is a ``step``."""
    found = []
    for feeds in calls:
        if step is not None:
            step.wait(10)
        found.append(call(feeds))
    return found


def test_a_graph_that_mixes_streams_is_not_used_for_several(mask: Bundle, motion: Bundle) -> None:
    model = bundles.network_of(motion)
    mixed = onnx.load_from_string(graph.together(graph.parsed(model, "")).SerializeToString())
    last = next(node for node in mixed.graph.node if "displacement" in node.output)
    last.output[0] = "own"
    axes = onnx.numpy_helper.from_array(np.array([0], np.int64), "axes0")
    mixed.graph.initializer.append(axes)
    mixed.graph.node.append(onnx.helper.make_node("ReduceMean", ["own"], ["mean0"], axes=[0], keepdims=1))
    mixed.graph.node.append(onnx.helper.make_node("Sub", ["own", "mean0"], ["displacement"]))
    assert not forms.streams_agree(motion, model, mixed.SerializeToString())
    assert forms.streams_agree(mask, bundles.network_of(mask), bundles.network_of(mask))
    assert together(motion.spec).inputs[0].shape == ("batch", None, 80)


def test_streams_go_together_only_where_it_pays() -> None:
    def curve(*medians: float) -> list[speed.Speed]:
        return [speed.Speed(n, ms, ms, ms, 0) for n, ms in zip(speed.BATCHES, medians, strict=True)]

    assert speed.pays(curve(1.0, 2.0, 4.0, 8.0, 16.0)) == 1
    assert speed.pays(curve(1.0, 1.1, 1.3, 2.0, 3.0)) == 1  # who waits 2 ms would save less than one
    assert speed.pays(curve(5.0, 5.5, 6.0, 8.0, 14.0)) == 8  # a longer call would be late for who is due first


def test_settings_are_as_modest_as_can_be() -> None:
    every = speed.settings()
    assert every[0] == speed.CpuSettings(1, False, True)
    found = {each: speed.Speed(1, 1.05 if each == every[0] else 1.0, 2, 2, 0) for each in every}
    assert speed.best_settings(found) == every[0]
    found[every[0]] = speed.Speed(1, 1.5, 2, 2, 0)
    assert speed.best_settings(found) == every[1]


def test_pictures_are_compared_as_people_see_them() -> None:
    image = np.random.default_rng(0).random((64, 64))
    assert ssim(image, image) == pytest.approx(1.0)
    assert ssim(image, image[::-1]) < 0.3


def test_the_built_in_voice_is_heard() -> None:
    voice = demo_voice(16_000)
    assert 12 * 16_000 < len(voice) < 14 * 16_000
    assert np.abs(voice).max() > 0.1
