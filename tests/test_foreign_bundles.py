"""Bundles from elsewhere: whatever their network does, it is a good run or one line, and never for long."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from patience import PATIENCE_S

from benchmarks import networks as files
from benchmarks.networks import BANDS, POINTS, mouth_net, node, only_when_loud, value, write_bundle
from realtime_dub.errors import BundleError
from realtime_dub.inference.backends.ort import OnnxSession
from realtime_dub.inference.bundle import load, load_default
from realtime_dub.inference.sandbox import session as sandbox
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.motion import MotionStream

FALSE, TRUE = (files.tensor("go", np.array(each)) for each in (False, True))
OUTPUTS = (value("displacement", [1, "frames", POINTS, 3]), value("speech", [1, "frames"]))
OPEN_STATE = (*OUTPUTS, value("next_past", [1, "any"]))


def hear(stream: MotionStream, level: float, at_s: float, seconds: float = 0.2) -> None:
    noise = level * np.random.default_rng(1).standard_normal(int(seconds * 16_000))
    stream.hear(noise.astype(np.float32), round(at_s * 1e9))


def loop_when_loud() -> bytes:
    """Endless for a sound as loud as none is, and as the features never are for silence and noise."""
    nodes, more = only_when_loud()
    loud = [*nodes[:2], node("Less", ["left", "nothing"], ["go"]), files.endless("go", "past", "next_past")]
    return mouth_net(state=loud, more=more)


def grown(op: str, count: int) -> bytes:
    nodes, more = files.big(count)
    return mouth_net(state=[*nodes, node(op, ["past", "huge"], ["next_past"])], more=more)


BAD = {
    "a loop without an end": mouth_net(state=[files.endless("go", "past", "next_past")], more=[TRUE]),
    "a loop without an end over nothing": mouth_net(
        state=[files.endless("go", "fixed", "end"), node("Add", ["past", "end"], ["next_past"])],
        more=[TRUE, files.tensor("fixed", np.zeros((1, 4), np.float32))],
    ),
    "eight gigabytes": grown("Add", 1 << 31),
    "a gigabyte": grown("Add", 1 << 28),
    "a gather out of range": mouth_net(
        state=[node("Gather", ["past", "far"], ["one"]), node("Add", ["past", "one"], ["next_past"])],
        more=[files.tensor("far", np.array(1 << 40, np.int64))],
    ),
    "an operation of its own": mouth_net(state=[node("Evil", ["past"], ["next_past"], domain="x.y")]),
    "the values of another file": mouth_net(
        state=[node("Add", ["past", "other"], ["next_past"])], more=[files.outside("other", [1, 4], "spec.json")]
    ),
    "the values of a file far away": mouth_net(
        state=[node("Add", ["past", "other"], ["next_past"])], more=[files.outside("other", [1, 4], "/etc/hostname")]
    ),
    "another input": mouth_net(inputs=[value("mel", [1, "n", BANDS]), value("past", [1, 4]), value("x", [1])]),
    "features of another width": mouth_net(inputs=[value("mel", [1, "n", 40]), value("past", [1, 4])]),
    "an input of integers": mouth_net(inputs=[value("mel", [1, "n", BANDS], files.INT64), value("past", [1, 4])]),
    "no state": mouth_net(outputs=OUTPUTS),
    "a state that grows": mouth_net(
        state=[node("Concat", ["past", "past"], ["next_past"], files.number("axis", 1))], outputs=OPEN_STATE
    ),
    "a state of another type": mouth_net(
        state=[node("Cast", ["past"], ["next_past"], files.number("to", files.DOUBLE))],
        outputs=(*OUTPUTS, value("next_past", [1, 4], files.DOUBLE)),
    ),
    "points that are missing": mouth_net(
        shape=np.array([1, -1, 84, 3], np.int64),
        outputs=(value("displacement", [1, "n", "p", 3]), value("speech", [1, "n"]), value("next_past", [1, 4])),
    ),
    "no numbers": mouth_net(bias=np.array([np.nan], np.float32)),
    "no end": mouth_net(bias=np.array([np.inf], np.float32)),
    "ten mouth widths": mouth_net(bias=np.array([10], np.float32)),
    "nothing": b"\0",
    "half of it": mouth_net()[: len(mouth_net()) // 2],
}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "RUN_S", 1.0, raising=False)
    monkeypatch.setattr(sandbox, "OPEN_S", 3.0, raising=False)


@pytest.mark.parametrize("net", [mouth_net(), files.lively()])
def test_a_bundle_of_ones_own_is_taken(net: bytes, tmp_path: Path) -> None:
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, net))
    hear(generator._motion, 0.1, 0.0)
    assert generator.heard_until_ns() > 0


@pytest.mark.parametrize("what", BAD)
def test_what_a_network_does_is_one_line(what: str, tmp_path: Path) -> None:
    began_s = time.monotonic()
    with pytest.raises(BundleError, match="test-net") as caught:
        MouthbankGenerator(bundle=write_bundle(tmp_path, BAD[what]))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began_s < PATIENCE_S


def test_a_network_that_hangs_later_is_left_and_its_process_ended(tmp_path: Path) -> None:
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, loop_when_loud()))
    process = generator._motion.session._process
    hear(generator._motion, 0.1, 0.0)
    for _ in range(2):
        with pytest.raises(
            BundleError, match="test-net 1, 80 ms: its network gave no answer within 1 s of a processor; choose another"
        ):
            hear(generator._motion, 20.0, 0.2)
    assert process.poll() is not None


def test_a_network_on_a_busy_machine_is_waited_for(tmp_path: Path) -> None:
    """It takes its time by the clock, and hardly any of a processor."""
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, mouth_net()))
    inner = generator._motion.session._process.pid
    os.kill(inner, signal.SIGSTOP)
    goes_on = threading.Timer(2 * sandbox.RUN_S, os.kill, (inner, signal.SIGCONT))
    goes_on.start()
    try:
        hear(generator._motion, 0.1, 0.0)
        assert generator.heard_until_ns() > 0
        assert not goes_on.is_alive()
    finally:
        goes_on.cancel()


def test_a_network_that_does_nothing_is_left_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "SLOWNESS", 0.5)
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, mouth_net()))
    process = generator._motion.session._process
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(BundleError, match=r"its network gave no answer within 0\.5 s; choose another"):
        hear(generator._motion, 0.1, 0.0)
    assert process.poll() is not None


def test_a_network_whose_process_is_killed_is_one_line(tmp_path: Path) -> None:
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, mouth_net()))
    os.kill(generator._motion.session._process.pid, signal.SIGKILL)
    with pytest.raises(BundleError, match=r"its network crashed \(SIGKILL\)"):
        hear(generator._motion, 0.1, 0.0)


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    generator = MouthbankGenerator(bundle=write_bundle(tmp_path, mouth_net()))
    process = generator._motion.session._process
    del generator
    gc.collect()
    assert process.poll() is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_while_a_network_hangs(number: signal.Signals, tmp_path: Path) -> None:
    """Also where nothing cuts the network short."""
    folder = write_bundle(tmp_path / "bundle", BAD["a loop without an end"])
    code = (
        "from realtime_dub.inference.sandbox import session as sandbox; sandbox.RUN_S = 1000.0\n"
        "import sys; from realtime_dub.start import main; main()"
    )
    arguments = [
        "file",
        "demo",
        "--mic",
        "demo",
        "--bundle",
        str(folder),
        "--seconds",
        "2",
        "-o",
        str(tmp_path / "a.mp4"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        inner = _child_of(process.pid)
        time.sleep(1.0)
        process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (130, 143)
    assert "Traceback" not in said
    assert not Path(f"/proc/{inner}").exists()


def _child_of(pid: int) -> int:
    until_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < until_s:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        named = [each for each in children if b"sandbox.process" in Path(f"/proc/{each}/cmdline").read_bytes()]
        if named:
            return int(named[0])
        time.sleep(0.1)
    raise AssertionError("the network has no process")


def test_the_process_of_a_network_ends_with_whoever_began_it(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, loop_when_loud())
    code = (
        "import sys, threading, time, numpy as np\n"
        "from realtime_dub.inference.sandbox import session as sandbox; sandbox.RUN_S = 1000.0\n"
        "from realtime_dub.mouth.mouthbank.motion import MotionStream\n"
        "from realtime_dub.inference.bundle import load\n"
        f"stream = MotionStream(load({str(folder)!r}))\n"
        "print(stream.session._process.pid, flush=True)\n"
        "stream.hear(20 * np.random.default_rng(0).standard_normal(3200).astype(np.float32), 0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    inner = int(process.stdout.readline())
    time.sleep(0.3)
    assert process.poll() is None
    process.kill()
    process.communicate()
    until_s = time.monotonic() + PATIENCE_S
    while Path(f"/proc/{inner}").exists() and time.monotonic() < until_s:
        time.sleep(0.1)
    assert not Path(f"/proc/{inner}").exists()


def test_the_networks_that_come_with_the_program_cost_no_process() -> None:
    assert isinstance(MouthbankGenerator()._motion.session, OnnxSession)
    assert isinstance(load(load_default("mouthbank").folder).session(), OnnxSession)  # and so does a copy of one


@pytest.mark.parametrize("shape", [[1, None, 84, 3], [None, None, POINTS, 3], [1, None, POINTS * 3], [1, 1, POINTS, 3]])
def test_a_spec_that_gives_a_mouth_another_shape_is_refused(shape: list[int | None], tmp_path: Path) -> None:
    outputs = [{"name": "displacement", "shape": shape}, {"name": "speech", "shape": [1, None]}]
    with pytest.raises(BundleError, match="test-net"):
        MouthbankGenerator(bundle=write_bundle(tmp_path, mouth_net(), outputs=outputs))


# The spec and the files beside it.

LARGE = {
    "audio.fft": {"audio": {"fft": 65_536}},
    "audio.bands": {"audio": {"bands": 1_024}},
    "audio.window": {"audio": {"window": 65_536, "fft": 65_536}},
    "frame_rate": {"audio": {"rate": 384_000, "hop": 1}, "frame_rate": 384_000.0},
    "points": {"points": list(range(478)) * 100},
    "states": {"states": [{"before": f"a{k}", "after": f"b{k}", "shape": [9_000_000]} for k in range(60)]},
    "audio.floor": {"audio": {"floor": 1e-300}},
    "audio": {"audio": {"low_hz": 40.0, "high_hz": 40.0000001}},
}


@pytest.mark.parametrize("what", LARGE)
def test_values_beyond_any_spec_are_refused_before_anything_is_made_of_them(what: str, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, mouth_net(), **LARGE[what])
    with pytest.raises(BundleError, match=f"damaged bundle .*spec.json: {what}"):
        load(folder)


def test_only_plain_files_of_bounded_size_are_read(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "bundle", mouth_net())
    for name in ("motion.onnx", "spec.json"):
        place, kept = folder / name, (folder / name).read_bytes()
        place.unlink()
        os.mkfifo(place)
        with pytest.raises(BundleError, match="it is a pipe"):
            load(folder)
        place.unlink()
        place.symlink_to("/dev/zero")
        with pytest.raises(BundleError, match="it is a device"):
            load(folder)
        place.unlink()
        with place.open("wb") as file:
            file.truncate(1_000_000_000)  # of which the disk holds nothing
        with pytest.raises(BundleError, match="it is larger than"):
            load(folder)
        place.unlink()
        place.write_bytes(kept)


@pytest.mark.parametrize(
    "text", ["[" * 900_000, '{"format":' * 90_000, "9" * 900_000, '{"format": 1' + "0" * 5_000 + "}"]
)
def test_deep_and_long_specs_are_refused(text: str, tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, mouth_net())
    (folder / "spec.json").write_text(text)
    with pytest.raises(BundleError, match="bundle"):
        load(folder)


def test_a_spec_with_names_that_cannot_be_shown_is_one_line(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path, mouth_net(), name="\ud800\n\x1b[31m", model="\ud800")
    spec = json.loads((folder / "spec.json").read_text())
    spec["sha256"] = {"\ud800": "0"}
    (folder / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(BundleError) as caught:
        load(folder)
    str(caught.value).encode()
