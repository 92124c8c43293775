"""The checks of ``realtime-dub doctor``."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import painters
import pytest
from rich.console import Console

from realtime_dub import doctor
from realtime_dub.doctor import can_run, devices, engine, face, libraries, table
from realtime_dub.errors import BundleError
from realtime_dub.finding import Finding
from realtime_dub.inference import made_here
from realtime_dub.inference.bundle import load
from realtime_dub.media import MS
from realtime_dub.mouth.painter.network import PainterNetwork
from tests.pulse import PrivatePulse


def test_what_is_missing_for_devices_only_does_not_stop_files() -> None:
    assert can_run([Finding("a", "ok", ""), Finding("b", "warn", "")])
    assert not can_run([Finding("a", "ok", ""), Finding("b", "fail", "")])


def test_this_machine_has_its_libraries() -> None:
    checks = [libraries.library(*item) for item in libraries.LIBRARIES.items()]
    assert [check.name for check in checks if check.state == "fail"] == []
    assert all(check.detail for check in checks)


def test_a_library_that_is_not_installed_says_how_to_get_it() -> None:
    check = libraries.library("no-such-library", "no_such_library")
    assert (check.state, check.advice) == ("fail", "run: pip install no-such-library")


def test_a_library_that_lacks_a_system_library_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> None:
        raise {"cv2": ImportError("libGL.so.1: no such file"), "sounddevice": OSError("PortAudio library not found")}[
            name
        ]

    monkeypatch.setattr(libraries, "import_module", broken)
    picture = libraries.library("opencv-contrib-python", "cv2")
    sound = libraries.library("sounddevice", "sounddevice")
    assert (picture.state, picture.advice) == ("fail", "run: sudo apt install libgl1")
    assert sound.state == "warn"
    assert "libportaudio2" in sound.advice


@pytest.mark.parametrize(("version", "state"), [((3, 10), "fail"), ((3, 11), "ok"), ((3, 12), "ok"), ((3, 13), "fail")])
def test_the_python_version_is_checked(version: tuple[int, int], state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert libraries.python().state == state


def test_a_corrupt_bundle_fails_and_a_missing_camera_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def corrupt() -> Finding:
        raise BundleError("corrupt", "model.onnx", "install again")

    (check,) = doctor._guarded("mouth bundle", corrupt)
    assert (check.state, check.detail) == ("fail", "corrupt model.onnx; install again")
    assert doctor._guarded("camera", corrupt)[0].state == "warn"


def test_all_checks_give_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face, "SPEED_TEST_S", 0.2)
    checks = doctor.examine()
    assert len(checks) == 1 + len(libraries.LIBRARIES) + len(doctor.CHECKS)
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(table(checks))
    text = console.export_text()
    assert all(check.name in text for check in checks)


def test_painters_are_told_with_their_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PainterNetwork, "_tried", lambda self: (43 if self.spec.engine == "wav2lip" else 8) * MS)
    bundle = painters.write_bundle(tmp_path / "mine", painters.reference_net())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    made_here.write(load(bundle).spec.sha256["network.onnx"])
    check = engine.painters(bundle)
    own, given = check.detail.split("; ")
    assert check.state == "ok"
    assert own.endswith(": 8 ms a mouth, 25 a second live (one in every frame)")
    assert given == "test-painter 1: 43 ms a mouth, 12 a second live (half rate, those between are faded)"
    monkeypatch.setattr(PainterNetwork, "_tried", lambda self: 400 * MS)
    slow = engine.painters(bundle)
    assert (slow.state, "too slow to be live" in slow.detail) == ("warn", True)


def test_a_backend_is_tried_and_one_without_its_card_says_so() -> None:
    check = engine.backends()
    assert check.state in ("ok", "warn")
    assert check.detail.startswith("cpu: works; cuda: ")
    assert "cannot run" not in check.detail


def test_a_network_that_does_not_run_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(name: str, **options: object) -> None:
        raise BundleError("cannot run", "mouthbank: cpu: RuntimeError: no such instruction", "fetch it again")

    monkeypatch.setattr(engine.registry, "create", refuses)
    check = engine.backends()
    assert (check.state, check.detail.partition(";")[0]) == ("fail", "cpu: no such instruction")


def test_a_camera_that_gives_nothing_is_not_ok(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that is there, and no camera behind it."""
    node = tmp_path / "video0"
    node.touch()
    monkeypatch.setitem(devices.DEVICES, "Cameras", "tests.test_doctor:cameras_there")
    monkeypatch.setattr("tests.test_doctor.cameras_there", lambda: [f"{node} (a camera)"], raising=False)
    check = devices.camera()
    assert (check.state, check.detail) == ("warn", f"no picture from camera {node}")
    assert "close other programs" in check.advice


LOOK = "from realtime_dub.doctor import devices; f = devices.microphone(); print(f.state, f.detail, f.advice, sep='|')"


def looked(pulse: PrivatePulse) -> list[str]:
    env = {**pulse.environment, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", LOOK], env=env, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.strip().split("|")


def test_the_microphone_is_opened_and_heard(pulse: PrivatePulse) -> None:
    state, detail, advice = looked(pulse)
    assert (state, "stage.monitor" in detail) == ("ok", True)
    assert "is silent just now" in advice
