"""The table of publishers."""

from __future__ import annotations

import subprocess
import sys

import pytest
from media_files import grid, output_format, publish, ticks

from realtime_dub.errors import ConfigError
from realtime_dub.publishers import muxer, registry, vcam, window
from realtime_dub.publishers.registry import default_publisher, open_publisher


@pytest.mark.parametrize(
    ("spec", "kind", "policy"),
    [
        ("vcam", "VirtualCameraPublisher", "latest"),
        ("vcam:/dev/video7", "VirtualCameraPublisher", "latest"),
        ("window", "WindowPublisher", "latest"),
        ("null", "NullPublisher", "every"),
        ("out.mp4", "MuxPublisher", "every"),
        ("/some/where/OUT.MKV", "MuxPublisher", "every"),
        ("rtmp://host/app/key", "MuxPublisher", "every"),
        ("srt://host:9000", "MuxPublisher", "every"),
        ("webrtc", "WebRtcPublisher", "every"),
        ("webrtc://0.0.0.0:9000?viewers=3", "WebRtcPublisher", "every"),
        ("whip://host/stage", "WhipPublisher", "every"),
        ("WHIPS://host/stage", "WhipPublisher", "every"),
    ],
)
def test_each_spec_names_its_publisher(spec: str, kind: str, policy: str) -> None:
    publisher = open_publisher(spec)
    assert type(publisher).__name__ == kind
    assert publisher.policy == policy
    assert publisher.latency_ns >= 0
    publisher.close()


@pytest.mark.parametrize("spec", ["", "webrt", "whip:host", "out.gif", "http://host/x.mp4", "vcams", "folder/"])
def test_unknown_specs_list_the_choices(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown output .*choose vcam, .*window.*rtmp://"):
        open_publisher(spec)


@pytest.mark.parametrize("spec", ["vcam", "null", "rtmp://host/app", "out"])
def test_a_file_run_writes_files_only(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"choose a file name that ends in \.mp4"):
        open_publisher(spec, live=False)
    assert open_publisher("out.mp4", live=False).name == "out.mp4"


def test_only_a_virtual_camera_takes_a_device() -> None:
    with pytest.raises(ConfigError, match="window"):
        open_publisher("window:2")


def test_the_table_names_what_the_muxer_writes() -> None:
    assert tuple(muxer.FILES) == registry.SUFFIXES
    assert tuple(muxer.STREAMS) == registry.SCHEMES


def test_null_takes_everything() -> None:
    fmt = output_format()
    publish(open_publisher("null"), fmt, ticks(fmt, grid(3, fmt.fps)))


@pytest.mark.parametrize(
    ("camera", "display", "expected"), [(True, True, "vcam"), (True, False, "vcam"), (False, True, "window")]
)
def test_the_default_is_a_virtual_camera_else_a_window(
    monkeypatch: pytest.MonkeyPatch, camera: bool, display: bool, expected: str
) -> None:
    monkeypatch.setattr(vcam, "is_available", lambda: camera)
    monkeypatch.setattr(window, "is_available", lambda: display)
    assert default_publisher().name == expected


def test_without_either_the_default_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vcam, "is_available", lambda: False)
    monkeypatch.setattr(window, "is_available", lambda: False)
    with pytest.raises(ConfigError, match=r"no virtual camera and no display; give --to out\.mp4"):
        default_publisher()


def test_the_table_is_light() -> None:
    code = "import sys, realtime_dub.publishers.registry; print([m for m in ('cv2', 'av') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'cv2'" not in out.stdout
    assert "'av'" not in out.stdout


@pytest.mark.parametrize("spec", ["udp://[::1", "srt://[", "rtmp://me:secret@[x/key"])
def test_an_address_that_is_none_is_refused_without_its_secrets(spec: str) -> None:
    with pytest.raises(ConfigError, match=r"no address: [a-z]+://") as caught:
        open_publisher(spec)
    assert "secret" not in str(caught.value)
    assert "key" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "name"),
    [("12:30.mp4", "MuxPublisher"), ("window:1.mp4", "MuxPublisher"), ("a:b.csv", "BlendshapeCsvPublisher")],
)
def test_a_colon_may_be_part_of_a_files_name(spec: str, name: str) -> None:
    for live in (True, False):
        assert type(open_publisher(spec, live=live)).__name__ == name
