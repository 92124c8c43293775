"""The checks of ``realtime-dub doctor``."""

from __future__ import annotations

import io
import sys

import pytest
from rich.console import Console

from realtime_dub import doctor
from realtime_dub.doctor import can_run, face, libraries, table
from realtime_dub.errors import BundleError
from realtime_dub.finding import Finding


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
