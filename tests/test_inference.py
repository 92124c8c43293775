"""What a bundle says of its network for each task, and how networks are run: state, batches, backends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys
from pydantic import ValidationError

from benchmarks import networks as files
from realtime_dub.errors import BundleError
from realtime_dub.inference import session as sessions
from realtime_dub.inference.backends.ort import OnnxSession, OnnxStream
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.inference.contract import Opening
from realtime_dub.inference.session import open_session
from realtime_dub.inference.spec import (
    BundleSpec,
    CropTaskSpec,
    ExpressionSpec,
    FrameSpec,
    HeadSpec,
    LandmarksSpec,
    MaskSpec,
    MotionSpec,
    PaintSpec,
    SpeakerSpec,
    SpeechSpec,
    StateSpec,
    VocoderSpec,
    parse,
)
from realtime_dub.inference.state import CheckedStream, HostStream
from realtime_dub.mouth.mouthbank.motion import MotionStream

pytestmark = pytest.mark.computes

COMMON = {
    "format": 2,
    "name": "a",
    "version": "1",
    "engine": "toy",
    "model": "net.onnx",
    "inputs": [],
    "outputs": [],
    "licence": "CC0",
    "training_data": [],
    "sha256": {"net.onnx": "0" * 64},
}
CROP = {"size": 96, "alignment": "box", "margins": [0, 0.1, 0, 0]}
FOLLOWING = {"hears": "ears 1", "look_ahead_ms": 160, "frame_rate": 25, "steps": 16, "step_ms": 20}
TASKS: dict[str, tuple[type[BundleSpec], dict[str, Any]]] = {
    "motion": (
        MotionSpec,
        {"audio": {"kind": "logmel"}, "look_ahead_ms": 80, "frame_rate": 100, "points": [0, 1, 2]},
    ),
    "crop": (CropTaskSpec, {"audio": {"kind": "painter_mel"}, "look_ahead_ms": 100, "window_frames": 16, "crop": CROP}),
    "landmarks": (
        LandmarksSpec,
        {"audio": {"kind": "mfcc"}, "look_ahead_ms": 40, "frame_rate": 25, "shown": [33], "points": [61, 291, 13]},
    ),
    "frame": (FrameSpec, {"width": 512, "height": 512, "drawing_channels": 3}),
    "mask": (MaskSpec, {"size": 96, "side": 3.0, "centre": [0, 1.95, -0.2]}),
    "paint": (PaintSpec, {"size": 96, "side": 1.6}),
    "speech": (
        SpeechSpec,
        {"phonemes": ["a", "b"], "rate": 16_000, "window": 640, "hop": 160, "frame_rate": 25, "most_frames": 750},
    ),
    "vocoder": (VocoderSpec, {"rate": 16_000, "window": 640, "hop": 160}),
    "speaker": (SpeakerSpec, {"audio": {"kind": "voice_mel"}, "vector": 256}),
    "expression": (ExpressionSpec, {**FOLLOWING, "points": [0, 1, 2]}),
    "head": (HeadSpec, FOLLOWING),
}


@pytest.mark.parametrize("task", TASKS)
def test_each_task_has_a_spec_of_its_own(task: str) -> None:
    kind, more = TASKS[task]
    spec = parse({**COMMON, "task": task, **more})
    assert type(spec) is kind
    assert type(spec).model_validate_json(spec.model_dump_json()) == spec
    for name in more:
        if type(spec).model_fields[name].is_required():
            with pytest.raises(ValidationError):
                parse({**COMMON, "task": task, **{key: value for key, value in more.items() if key != name}})


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("motion", {"audio": {"kind": "mfcc"}}),
        ("crop", {"audio": {"kind": "violin"}}),
        ("crop", {"crop": {**CROP, "size": 4}}),
        ("crop", {"crop": {**CROP, "size": 100_000}}),
        ("crop", {"crop": {**CROP, "margins": [0, 9, 0, 0]}}),
        ("crop", {"crop": {**CROP, "alignment": "upside down"}}),
        ("landmarks", {"points": [999, 1, 2]}),
        ("landmarks", {"audio": {"kind": "mfcc", "cepstra": 60}}),
        ("frame", {"width": 1 << 20}),
        ("speech", {"phonemes": []}),
        ("speech", {"rate": 2**31 - 1}),
        ("speech", {"frame_rate": 29.97}),  # mel frames per video frame: 3.34
        ("speech", {"hop": 150}),
        ("vocoder", {"hop": 0}),
        ("expression", {"points": [0, 1, 478]}),
        ("head", {"steps": 0}),
        ("frame", {"inputs": [{"name": "x", "shape": ["length"]}]}),
        ("frame", {"states": [{"before": "a", "after": "b", "shape": ["time"]}]}),
        ("frame", {"surprise": 1}),
    ],
)
def test_a_spec_that_cannot_be_is_refused(task: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        parse({**COMMON, "task": task, **TASKS[task][1], **changes})


def test_a_task_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps({**COMMON, "task": "dream"}))
    with pytest.raises(BundleError, match=r"task: choose one of motion, crop, .*, paint, speech, vocoder, speaker"):
        load(tmp_path)


def test_a_bundle_for_another_task_moves_no_mouth(tmp_path: Path) -> None:
    bundle = load(toys.crop_bundle(tmp_path / "crops"))
    assert bundle.look_ahead_ms == 100
    with pytest.raises(BundleError, match="not a motion bundle toy-crops"):
        MotionStream(bundle)


SUM = (StateSpec(before="past", after="next", shape=("batch", 4)),)


def summing_net() -> bytes:
    """``y = x + past``, which is what comes next."""
    shape = ["batch", 4]
    return files.model(
        files.graph(
            [files.node("Add", ["x", "past"], ["y"]), files.node("Identity", ["y"], ["next"])],
            [],
            [files.value("x", shape), files.value("past", shape)],
            [files.value("y", shape), files.value("next", shape)],
        )
    )


def summing_spec() -> BundleSpec:
    tensors = {"inputs": [{"name": "x", "shape": ["batch", 4]}], "outputs": [{"name": "y", "shape": ["batch", 4]}]}
    states = [{"before": "past", "after": "next", "shape": ["batch", 4]}]
    return parse({**COMMON, "task": "frame", **TASKS["frame"][1], **tensors, "states": states})


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("where", ["host", "device"])
def test_a_stream_goes_on_from_what_it_kept(where: str, batch: int) -> None:
    session = OnnxSession(summing_net())
    stream = HostStream(session, SUM, batch) if where == "host" else session.stream(SUM, batch)
    one = np.ones((batch, 4), np.float32)
    assert stream.run({"x": one})["y"][0, 0] == 1
    assert stream.run({"x": one})["y"][0, 0] == 1  # nothing was kept
    stream.keep()
    assert stream.run({"x": one})["y"][-1, 3] == 2
    stream.keep()
    assert stream.run({"x": 5 * one})["y"][0, 0] == 7
    stream.forget()
    assert stream.run({"x": one})["y"][0, 0] == 1


def test_state_on_the_device_gives_what_it_gives_in_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped net, block by block, by ONNX Runtime's I/O binding and without it."""
    noise = (0.1 * np.random.default_rng(0).standard_normal(16_000)).astype(np.float32)
    found = []
    for far in (False, True):
        monkeypatch.setattr(OnnxSession, "state_is_far", far, raising=False)
        monkeypatch.setattr(load_default("mouthbank").session(), "state_is_far", far)
        stream = MotionStream(load_default("mouthbank"))
        assert isinstance(stream._stream._stream, OnnxStream if far else HostStream)
        for at in range(0, len(noise), 320):
            stream.hear(noise[at : at + 320], at * 62_500)
        found.append(np.stack([stream.at(ns).displacement for ns in range(0, 800_000_000, 10_000_000)]))
    assert np.array_equal(*found)


def test_streams_share_a_session_and_no_state() -> None:
    session, spec = OnnxSession(summing_net()), summing_spec()
    one, other = CheckedStream(session, spec), CheckedStream(session, spec)
    x = np.ones((1, 4), np.float32)
    for _ in range(3):
        one.run({"x": x}, 1)
        one.keep()
    assert one.run({"x": x}, 1)["y"][0, 0] == 4
    assert other.run({"x": x}, 1)["y"][0, 0] == 1


@pytest.mark.parametrize("feeds", [{}, {"x": np.ones((1, 5), np.float32)}, {"x": np.ones((1, 4), np.float64)}])
def test_whatever_a_backend_raises_is_one_line(feeds: dict[str, Any]) -> None:
    with pytest.raises(BundleError, match="cannot run bundle a: its network is not as its spec says") as caught:
        CheckedStream(OnnxSession(summing_net()), summing_spec()).run(feeds, 1)
    assert "\n" not in str(caught.value)


def test_a_backend_is_told_what_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def open_it(model: bytes, opening: Opening) -> OnnxSession:
        asked.append(opening)
        return OnnxSession(model)

    monkeypatch.setattr("realtime_dub.inference.backends.ort.open_on_cpu", open_it)
    spec = load_default("mouthbank").spec
    opening = Opening("mouths", spec, "0", Path("cache"), "fp32", lambda what, share: None)
    open_session(summing_net(), opening)
    assert asked == [opening]


def test_large_networks_try_a_gpu_first_and_small_ones_do_not() -> None:
    order = sessions._order(sessions.BACKENDS, Opening(spec=load_default("mouthbank").spec))
    assert order[0] == "cpu"
    assert sessions._order(sessions.BACKENDS, Opening(spec=summing_spec()))[0] == "cuda"
    assert open_session(summing_net(), Opening(spec=summing_spec())).backend == "cpu"  # there is no GPU here


def test_a_network_from_elsewhere_runs_nowhere_else() -> None:
    with pytest.raises(BundleError, match="cannot run a on cuda: it did not come with the program"):
        open_session(summing_net(), Opening("a", known=False), "cuda")
