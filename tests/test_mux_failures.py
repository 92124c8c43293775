"""Crashes, missing encoders and servers that are not there or leave: one line each, and what was recorded plays."""

from __future__ import annotations

import itertools
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest
from media_files import clicks, grid, output_format, publish, sound_of, ticks, video_times
from patience import PATIENCE_S

from realtime_dub.errors import ConfigError, DependencyError, LostOutput, MediaError
from realtime_dub.media import NS, OutputFormat, Tick
from realtime_dub.publishers import muxer
from realtime_dub.publishers.encoding import require_encoder
from realtime_dub.publishers.muxer import MuxPublisher


def publish_all(publisher: MuxPublisher, stream: Iterator[Tick]) -> None:
    for tick in stream:
        publisher.publish(tick)


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
    assert len(times) >= 75 - 15  # at most the last 0.6 s are missing
    heard, rate, first_s = sound_of(target)
    assert first_s == pytest.approx(0, abs=0.001)
    assert np.argmax(np.abs(heard[:, 0])) / rate == pytest.approx(1.005, abs=0.003)


@pytest.mark.parametrize("target", ["a.avi", "a", "http://host/a", "webrtc"])
def test_unknown_kinds_of_output_list_the_known(target: str) -> None:
    with pytest.raises(ConfigError, match=r"unknown kind of output .*\.mp4.*rtmp://"):
        MuxPublisher(target)


def test_what_the_encoder_does_not_take_is_told_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match=r"cannot write .*a\.mp4: .*; choose another preset"):
        MuxPublisher(tmp_path / "a.mp4", preset="nonsense").open(output_format())
    assert list(tmp_path.iterdir()) == []


def test_a_missing_encoder_is_named() -> None:
    with pytest.raises(DependencyError, match="libnothing"):
        require_encoder("libnothing")


def test_a_server_that_refuses_is_one_line_without_the_stream_key() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(MediaError, match=f"rtmp://127.0.0.1:{port}: connection refused") as caught:
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
    deadline = time.monotonic() + PATIENCE_S
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


@contextmanager
def receiver(url: str) -> Iterator[subprocess.Popen[str]]:
    """A process that receives ``url`` and then prints how much came; it listens once this is entered."""
    code = textwrap.dedent(
        f"""
        import sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_mux_failures import receive
        out = {{}}
        print("listening", flush=True)
        receive({url!r}, {{"listen": "1"}} if {url.startswith("rtmp")} else {{}}, out)
        print(out.get("video", 0), out.get("audio", 0))
        """
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
        process.kill()


def connect(publisher: MuxPublisher, fmt: OutputFormat) -> None:
    for _ in range(50):
        try:
            return publisher.open(fmt)
        except MediaError:
            time.sleep(0.1)
    pytest.fail("no connection")


def local(scheme: str) -> str:
    port = free_port(socket.SOCK_STREAM if scheme == "rtmp" else socket.SOCK_DGRAM)
    return f"{scheme}://127.0.0.1:{port}" + ("/live/key" if scheme == "rtmp" else "")


@pytest.mark.parametrize("scheme", ["rtmp", "udp"])
def test_a_stream_arrives(scheme: str) -> None:
    url, fmt = local(scheme), output_format(live=True)
    with receiver(url) as process:
        publisher = MuxPublisher(url)
        connect(publisher, fmt)
        for tick in ticks(fmt, grid(75, fmt.fps), clicks(3, fmt.rate, 1, [1.0])):
            publisher.publish(tick)
            time.sleep(0.01)
        publisher.close()
        assert process.stdout is not None
        video, audio = process.stdout.readline().split()
    assert int(video) >= 60
    assert int(audio) >= 100


def test_a_server_that_leaves_is_told_with_what_was_sent() -> None:
    url, fmt = local("rtmp"), output_format(live=True)
    stream = ticks(fmt, grid(500, fmt.fps), clicks(20, fmt.rate, 1, [1.0]))
    with receiver(url) as process:
        publisher = MuxPublisher(url)
        connect(publisher, fmt)
        publish_all(publisher, itertools.islice(stream, 50))
        process.kill()
        process.wait()
        with pytest.raises(LostOutput, match=r"cannot write rtmp://127.0.0.1:\d+: .+; check the address") as caught:
            publish_all(publisher, stream)
        publisher.close()
    assert 1.5 * NS <= caught.value.kept_ns <= 19 * NS
    assert "key" not in str(caught.value)


def test_publishing_to_a_file_leaves_no_thread(tmp_path: Path) -> None:
    before = threading.active_count()
    fmt = output_format()
    publish(MuxPublisher(tmp_path / "a.mp4"), fmt, ticks(fmt, grid(5, fmt.fps)))
    assert threading.active_count() == before
