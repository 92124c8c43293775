"""Crashes, full disks, missing folders and servers that are not there: one line each, and what was recorded plays."""

from __future__ import annotations

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import clicks, grid, output_format, publish, sound_of, ticks, video_times

from realtime_dub.errors import ConfigError, DependencyError, MediaError
from realtime_dub.media import Tick
from realtime_dub.publishers import muxer
from realtime_dub.publishers.encoding import require_encoder
from realtime_dub.publishers.muxer import MuxPublisher


def publish_all(publisher: MuxPublisher, stream: Iterator[Tick]) -> None:
    for tick in stream:
        publisher.publish(tick)


def noise(fmt, k):
    return np.random.default_rng(k).integers(0, 255, (fmt.height, fmt.width, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_killed_writer_leaves_a_file_that_plays(tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"a{suffix}"
    script = textwrap.dedent(
        f"""
        import sys, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from media_files import clicks, grid, output_format, ticks
        from realtime_dub.publishers.muxer import MuxPublisher
        fmt = output_format(live=True)
        publisher = MuxPublisher({str(target)!r})
        publisher.open(fmt)
        for tick in ticks(fmt, grid(75, fmt.fps), clicks(3, fmt.rate, 1, [1.0])):
            publisher.publish(tick)
        print("published", flush=True)
        time.sleep(60)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "published\n"
        process.send_signal(signal.SIGKILL)
    times = [float(at) for at in video_times(target)]
    assert times == pytest.approx([k / 25 for k in range(len(times))], abs=0.001)
    assert len(times) >= 75 - 25  # at most the last second is missing
    heard, rate, first_s = sound_of(target)
    assert first_s == pytest.approx(0, abs=0.001)
    assert np.argmax(np.abs(heard[:, 0])) / rate == pytest.approx(1.005, abs=0.003)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_is_one_line_and_what_was_written_plays(tmp_path: Path, suffix: str) -> None:
    fmt, target = output_format(width=320, height=240), tmp_path / f"a{suffix}"
    publisher = MuxPublisher(target)
    publisher.open(fmt)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, before[1]))  # the nearest thing to a full disk
    try:
        with pytest.raises(
            MediaError, match=f"cannot write .*a{suffix}: File too large; what was written so far plays"
        ):
            publish_all(publisher, ticks(fmt, grid(100, fmt.fps), clicks(4, fmt.rate, 1, [1.0]), noise))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    size = target.stat().st_size
    with pytest.raises(MediaError, match="File too large"):
        publish_all(publisher, ticks(fmt, grid(1, fmt.fps)))
    publisher.close()
    assert target.stat().st_size == size
    with av.open(str(target)) as container:
        frames = 0
        try:
            for _ in container.decode(video=0):
                frames += 1
        except av.error.InvalidDataError:
            pass  # the last fragment is cut off
    assert frames >= 10


def test_a_full_disk_at_the_end_is_told_too(tmp_path: Path) -> None:
    fmt, target = output_format(), tmp_path / "a.mp4"
    publisher = MuxPublisher(target)
    publisher.open(fmt)
    for tick in ticks(fmt, grid(5, fmt.fps)):
        publisher.publish(tick)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(MediaError, match="File too large"):
            publisher.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    publisher.close()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_no_space_for_anything(tmp_path: Path) -> None:
    fmt, target = output_format(width=320, height=240), tmp_path / "a.mkv"
    target.symlink_to("/dev/full")
    publisher = MuxPublisher(target)
    publisher.open(fmt)
    with pytest.raises(MediaError, match=os.strerror(errno.ENOSPC)):
        publish_all(publisher, ticks(fmt, grid(50, fmt.fps), pictures=noise))
    publisher.close()


def test_nothing_published_leaves_nothing_behind(tmp_path: Path) -> None:
    kept = tmp_path / "kept.mp4"
    kept.write_bytes(b"a file from before")
    for target in (tmp_path / "a.mp4", kept):
        publisher = MuxPublisher(target)
        publisher.open(output_format())
        publisher.close()
        publisher.close()
    assert [path.name for path in tmp_path.iterdir()] == ["kept.mp4"]
    assert kept.read_bytes() == b"a file from before"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{tmp}/none/a.mp4", "there is no folder .*none"),
        ("/proc/a.mp4", "cannot write /proc/a.mp4: .*; choose another folder"),
        ("{tmp}/folder.mp4", "it is a folder"),
    ],
)
def test_targets_that_cannot_be_written_are_refused_at_the_start(tmp_path: Path, target: str, message: str) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(MediaError, match=message):
        MuxPublisher(target.format(tmp=tmp_path)).open(output_format())


@pytest.mark.parametrize("target", ["a.avi", "a", "http://host/a", "webrtc"])
def test_unknown_kinds_of_output_list_the_known(target: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown kind of output .*\.mp4.*rtmp://"):
        MuxPublisher(target)


def test_a_missing_encoder_is_named() -> None:
    with pytest.raises(DependencyError, match="libnothing"):
        require_encoder("libnothing")


def test_a_server_that_refuses_is_one_line_without_the_stream_key() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(MediaError, match=f"rtmp://127.0.0.1:{port}: Connection refused") as caught:
            MuxPublisher(f"rtmp://127.0.0.1:{port}/live/secret").open(output_format())
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigError, match="no host"):
        MuxPublisher("rtmp:///live").open(output_format())


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muxer, "CONNECT_TIMEOUT_S", 0.3)
    for host in ("192.0.2.1", "no-such-host.invalid"):  # reserved for examples: nobody is there
        with pytest.raises(MediaError, match=f"cannot reach rtmp://{host}: .*; check the address"):
            MuxPublisher(f"rtmp://{host}/live/secret").open(output_format())


def test_srt_without_a_listener_or_without_the_library_is_one_line() -> None:
    with pytest.raises((MediaError, DependencyError), match=r"srt://"):
        MuxPublisher("srt://127.0.0.1:9?connect_timeout=300").open(output_format())


def receive(url: str, options: dict[str, str], out: dict[str, int]) -> None:
    deadline = time.monotonic() + 20
    while "video" not in out and time.monotonic() < deadline:
        try:
            with av.open(url, options=options, timeout=3) as container:
                for packet in container.demux():
                    kind = packet.stream.type
                    out[kind] = out.get(kind, 0) + len(packet.decode())
        except av.error.FFmpegError:
            continue


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("scheme", ["rtmp", "udp"])
def test_a_stream_arrives(scheme: str) -> None:
    port = free_port(socket.SOCK_STREAM if scheme == "rtmp" else socket.SOCK_DGRAM)
    url = f"{scheme}://127.0.0.1:{port}" + ("/live/key" if scheme == "rtmp" else "")
    code = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_mux_failures import receive
        out = {{}}
        print("listening", flush=True)
        receive({url!r}, {{"listen": "1"}} if {scheme == "rtmp"} else {{}}, out)
        print(out.get("video", 0), out.get("audio", 0))
        """
    )
    fmt = output_format(live=True)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        publisher = MuxPublisher(url)
        for _ in range(20):
            try:
                publisher.open(fmt)
                break
            except MediaError:
                time.sleep(0.2)
        for tick in ticks(fmt, grid(75, fmt.fps), clicks(3, fmt.rate, 1, [1.0])):
            publisher.publish(tick)
            time.sleep(0.01)
        publisher.close()
        video, audio = process.stdout.readline().split()
        process.kill()
    assert int(video) >= 60
    assert int(audio) >= 100


def test_publishing_to_a_file_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    fmt = output_format()
    publish(MuxPublisher(tmp_path / "a.mp4"), fmt, ticks(fmt, grid(5, fmt.fps)))
    assert threading.active_count() == before
