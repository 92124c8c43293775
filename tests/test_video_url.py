"""Network streams from a real HTTP server on this machine that dies, hangs and comes back."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from films import number, numbered, steady, write_film

from realtime_dub import run_live
from realtime_dub.clock import MonotonicClock, VirtualClock
from realtime_dub.errors import ConfigError, EndOfStream, MediaError
from realtime_dub.media import MS, Frame
from realtime_dub.sources.url import UrlSource, shown


class Station:
    """Serves one file on one port, at most ``rate`` bytes a second, while it is on the air."""

    def __init__(self, film: Path, rate: int | None = None) -> None:
        self.data = film.read_bytes()
        self.rate = rate
        self.port = 0
        self.stop = threading.Event()
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/live"

    def start(self) -> None:
        self.stop.clear()
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = False
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def die(self) -> None:
        """Cut every connection and leave the port."""
        self.stop.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()
            self._server = None

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        station = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                try:
                    for chunk in station.chunks():
                        self.wfile.write(chunk)
                except OSError:  # the listener has left
                    pass

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def chunks(self) -> Iterator[bytes]:
        step = len(self.data) if self.rate is None else self.rate // 50
        for at in range(0, len(self.data), step):
            if self.stop.wait(0 if self.rate is None else 0.02):
                return
            yield self.data[at : at + step]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("station") / "a.ts", steady(1500), numbered(64, 64), codec="mpeg4")


@contextlib.contextmanager
def on_air(station: Station) -> Iterator[Station]:
    station.start()
    try:
        yield station
    finally:
        station.die()


@pytest.fixture
def station(film: Path) -> Iterator[Station]:
    """A minute of transport stream at twice the speed of life, so that the source must hold it back."""
    with on_air(Station(film, rate=2 * film.stat().st_size // 60)) as station:
        yield station


def read_until(source: UrlSource, stale: bool, limit: int = 300) -> Frame:
    for _ in range(limit):
        frame = source.read()
        if frame.stale == stale:
            return frame
    raise AssertionError(f"no frame with stale={stale} in {limit}")


def test_stream_survives_the_death_of_its_server(station: Station) -> None:
    source = UrlSource(station.url, MonotonicClock())
    info = source.open()
    assert (info.width, info.height, info.fps, info.live) == (64, 64, 25, True)
    assert not any(source.read().stale for _ in range(5))
    station.die()
    first = read_until(source, stale=True)
    gone = [source.read() for _ in range(5)]
    assert all(f.stale and np.array_equal(f.image, first.image) for f in gone)
    station.start()
    back = read_until(source, stale=False)
    fresh = [source.read() for _ in range(5)]
    source.close()
    assert all(a.pts_ns < b.pts_ns and a.seq + 1 == b.seq for a, b in pairwise([first, *gone, back, *fresh][:6]))
    assert back.pts_ns > gone[-1].pts_ns
    with pytest.raises(EndOfStream):
        source.read()


def test_stream_comes_at_its_own_speed_though_it_is_sent_faster(station: Station) -> None:
    source = UrlSource(station.url, MonotonicClock())
    source.open()
    frames = [source.read() for _ in range(12)]
    source.close()
    assert all(f.coded is not None and f.coded.planes[0].shape == f.image.shape[:2] for f in frames)
    shown_ms = 40 * (number(frames[-1].image) - number(frames[0].image))
    assert shown_ms > 0
    assert (frames[-1].pts_ns - frames[0].pts_ns) / MS >= shown_ms - 45


def test_a_camera_far_away_that_is_late_takes_so_much_more_of_the_delay(station: Station) -> None:
    """What runs live knows: frames of an instant come later, and are shown with its voice."""
    options = {"mic": "demo", "to": "null", "engine": "passthrough", "seconds": 1.0, "quiet": True}
    soon, late = (run_live(webcam=station.url, camera_late_ms=ms, **options) for ms in (0, 130))
    assert late.budget_ms == pytest.approx(soon.budget_ms + 130, abs=10)
    assert late.frames["fresh"] + late.frames["passthrough"] > 0.8 * late.frames["total"]
    assert late.latency_ms["p50"] > 130


@pytest.mark.parametrize(("spec", "late"), [("demo", 90), ("0", -1), ("0", 2_000)])
def test_only_a_camera_is_late_and_by_less_than_a_second(spec: str, late: float) -> None:
    with pytest.raises(ConfigError, match=r"--camera-late needs a camera|camera_late_ms = "):
        run_live(webcam=spec, camera_late_ms=late, mic="demo", to="null", seconds=1)


def test_film_over_http_keeps_its_times_and_ends(tmp_path: Path) -> None:
    times = [0, 40, 90, 200, 230, 400, 440, 500]
    film = write_film(tmp_path / "a.mp4", times, numbered(64, 64), container={"movflags": "faststart"})
    seen = {}
    with on_air(Station(film)) as station:
        source = UrlSource(station.url, VirtualClock(), timeout_s=5)
        source.open()
        with contextlib.suppress(EndOfStream):
            while True:
                frame = source.read()
                seen[number(frame.image)] = frame.pts_ns // MS
        source.close()
    assert max(seen) == len(times) - 1
    assert {k: times[k] for k in seen} == seen


def test_stream_over_a_plain_socket_is_not_held_back(tmp_path: Path) -> None:
    data = write_film(tmp_path / "a.ts", steady(45), numbered(64, 64)).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = threading.Thread(target=send_once, args=(server, data, done := threading.Event()))
        sender.start()
        source = UrlSource(f"tcp://127.0.0.1:{server.getsockname()[1]}", MonotonicClock(), timeout_s=5)
        source.open()
        first = source.read()
        frame = first
        while number(frame.image) < 40:
            frame = source.read()
        done.set()
        source.close()
        sender.join()
    assert frame.pts_ns - first.pts_ns < 1000 * MS  # of 1600


def send_once(server: socket.socket, data: bytes, done: threading.Event) -> None:
    connection, _ = server.accept()
    with connection, contextlib.suppress(OSError):
        connection.sendall(data)
        done.wait(10)


def test_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/live"
        with pytest.raises(MediaError, match="cannot read http://127") as caught:
            UrlSource(url, MonotonicClock(), timeout_s=0.3).open()
    assert "\n" not in str(caught.value)


def test_stream_that_falls_silent_goes_stale_and_is_connected_again(station: Station) -> None:
    source = UrlSource(station.url, MonotonicClock(), timeout_s=1)
    source.open()
    source.read()
    rate, station.rate = station.rate, 50  # a byte at a time
    station.die()
    station.start()
    read_until(source, stale=True)
    station.rate = rate
    read_until(source, stale=False)
    source.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/a", "http://[bad/a", "nothing://host/a", "rtsp://127.0.0.1:9/a"])
def test_address_that_cannot_be_opened(url: str) -> None:
    with pytest.raises(MediaError, match="cannot read"):
        UrlSource(url, MonotonicClock(), timeout_s=2).open()


def test_secrets_are_not_shown() -> None:
    assert shown("rtsp://me:secret@host:554/cam?key=1") == "rtsp://host:554/cam"
    assert shown("http://host/a@b") == "http://host/a@b"
    with pytest.raises(MediaError) as caught:
        UrlSource("http://me:secret@127.0.0.1:9/a?key=hidden", MonotonicClock()).open()
    assert "secret" not in str(caught.value)
    assert "hidden" not in str(caught.value)
