"""Programs that others wrote, as they are installed: what they send is dubbed, what is pushed to them arrives.

Each test is left out, with the reason, where its program is not installed (Debian's names: ffmpeg, libnginx-mod-rtmp;
for GStreamer see ``gst_whip.py``).
"""

from __future__ import annotations

import asyncio
import io
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import browser
import numpy as np
import page_walk
import pytest
from aiohttp import ClientSession
from patience import PATIENCE_S
from PIL import Image
from test_web_safety import ask
from web_peers import HEADERS, ROOMY_MS, Visitor, serving

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

HALL: dict[str, Any] = {"room": "hall", "engine": "passthrough", "budget_ms": ROOMY_MS}
PUSHED_S = 5.0
MODULE = Path("/usr/lib/nginx/modules/ngx_rtmp_module.so")
NGINX = f"""load_module {MODULE};
daemon off; master_process off; pid FOLDER/nginx.pid; error_log FOLDER/error.log; events {{}}
rtmp {{ server {{ listen 127.0.0.1:PORT; application live {{ live on; record all; record_path FOLDER; }} }} }}
"""


def program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def sends(scheme: str) -> None:
    """Skips where this PyAV was built without it."""
    try:
        av.open(f"{scheme}://127.0.0.1:9?connect_timeout=1", format="mpegts").close()
    except av.error.ProtocolNotFoundError:
        pytest.skip(f"this PyAV cannot send {scheme}://")
    except av.error.FFmpegError:
        pass


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(type=kind) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def listening(command: Sequence[str], log: Path, port: int) -> Iterator[None]:
    """A server, from when it takes connections."""
    with log.open("w") as said:
        made = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
        try:
            listens(port)
            yield
        finally:
            made.terminate()
            made.wait(PATIENCE_S)


@contextmanager
def running(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    made = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield made
    finally:
        if made.poll() is None:
            made.terminate()
        try:
            print(made.communicate(timeout=PATIENCE_S)[0][-2000:])
        except subprocess.TimeoutExpired:
            made.kill()
            made.communicate()


def listens(port: int) -> None:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise TimeoutError(port)


async def until(true: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.1)


async def outputs(http: ClientSession, url: str) -> list[dict[str, Any]]:
    async with http.get(f"{url}/api/rooms/hall/outputs", headers=HEADERS) as answer:
        told: list[dict[str, Any]] = (await answer.json())["outputs"]
        return told


async def push(to: str, seconds: float = PUSHED_S) -> dict[str, Any]:
    """A room whose person talks, its picture pushed for so long: what an operator is told of it."""
    async with serving(max_sessions=1, push_to=("127.0.0.1",), fps=15) as (_, http, url):
        sender = Visitor(http, url, fps=15)
        await sender.connect(**HALL)
        await sender.until(lambda: len(sender.got.pictures) > 5)
        body = {"channel": "", "to": to}
        status, begun, _ = await ask(http, "POST", f"{url}/api/rooms/hall/outputs", json=body, headers=HEADERS)
        assert status == 201, begun
        end = time.monotonic() + PATIENCE_S
        while True:
            (told,) = await outputs(http, url)
            if told["state"] == "failed" or told["seconds"] >= seconds:
                break
            assert time.monotonic() < end, told
            await asyncio.sleep(0.2)
        gone = await ask(http, "DELETE", f"{url}/api/rooms/hall/outputs/{begun['number']}", headers=HEADERS)
        assert gone[0] == 204
        await sender.close()
        return told


def holds_the_room(film: Path) -> None:
    """A picture that is no single colour, and the voice: loud for 200 ms of each second, silent in between."""
    with av.open(str(film)) as opened:
        frames = [frame.to_ndarray(format="bgr24") for frame in opened.decode(video=0)]
    with av.open(str(film)) as opened:
        blocks = [frame.to_ndarray() for frame in opened.decode(audio=0)]
        rate = opened.streams.audio[0].rate
    assert len(frames) > 0.6 * 15 * PUSHED_S
    assert frames[-1].std() > 20
    sound = np.concatenate([each.reshape(each.shape[0], -1).mean(axis=0) for each in blocks])
    assert len(sound) / rate > 0.6 * PUSHED_S
    loud = np.abs(sound) > 0.25 * np.abs(sound).max()
    assert 0.02 < loud.mean() < 0.4


def test_rtmp_to_ffmpeg(tmp_path: Path) -> None:
    port, film = free_port(), tmp_path / "got.mkv"
    to = f"rtmp://127.0.0.1:{port}/live/key"
    with running(program("ffmpeg"), "-v", "error", "-listen", "1", "-i", to, "-c", "copy", film) as server:
        time.sleep(1)  # a look at its port would be taken for the one who sends
        assert asyncio.run(push(to))["state"] == "on"
        server.wait(PATIENCE_S)
    holds_the_room(film)


def test_rtmp_to_nginx(tmp_path: Path) -> None:
    if not MODULE.exists():
        pytest.skip("nginx has no module for rtmp")
    port, settings = free_port(), tmp_path / "nginx.conf"
    settings.write_text(NGINX.replace("FOLDER", str(tmp_path)).replace("PORT", str(port)))
    tmp_path.chmod(0o777)
    with running(program("nginx"), "-c", settings, "-p", tmp_path):
        listens(port)
        assert asyncio.run(push(f"rtmp://127.0.0.1:{port}/live/key"))["state"] == "on"
        time.sleep(1)
    (film,) = tmp_path.glob("key*.flv")
    holds_the_room(film)


def test_srt_to_ffmpeg(tmp_path: Path) -> None:
    sends("srt")
    port, film = free_port(socket.SOCK_DGRAM), tmp_path / "got.mkv"
    command = (program("ffmpeg"), "-v", "error", "-i", f"srt://127.0.0.1:{port}?mode=listener", "-c", "copy", film)
    with running(*command) as server:
        time.sleep(1)
        assert asyncio.run(push(f"srt://127.0.0.1:{port}"))["state"] == "on"
        server.wait(PATIENCE_S)
    holds_the_room(film)


GSTREAMER = Path(__file__).with_name("gst_whip.py")


def python_with_gstreamer() -> str:
    """Debian's: a virtual environment has none."""
    found = "/usr/bin/python3"
    asks = "import gi; gi.require_version('GstWebRTC', '1.0'); from gi.repository import GstWebRTC"
    if not Path(found).exists() or subprocess.run((found, "-c", asks), capture_output=True).returncode:
        pytest.skip("GStreamer's webrtcbin is not installed for Python")
    return found


def heard_hz(sounds: list[np.ndarray]) -> float:
    line = np.concatenate(sounds).astype(float)
    return float(np.argmax(np.abs(np.fft.rfft(line * np.hanning(len(line))))) * 48_000 / len(line))


def test_whip_from_gstreamer() -> None:
    """GStreamer's connection, encoders and clock send into a room; a viewer gets its picture and its tone."""
    python = python_with_gstreamer()

    async def test() -> None:
        async with serving(max_sessions=1) as (studio, http, url):
            with running(python, GSTREAMER, f"{url}/whip/hall"):
                await until(lambda: studio.sessions)
                viewer = Visitor(http, url, sends=False)
                await viewer.connect(role="viewer", room="hall")
                await viewer.until(lambda: len(viewer.got.pictures) > 30)
                await viewer.until(lambda: len(viewer.got.sounds) > 100)
                assert viewer.got.pictures[-1][2].max() > 200  # the ball
                assert abs(heard_hz([each[2] for each in viewer.got.sounds[-50:]]) - 440) < 5
                await viewer.close()

    asyncio.run(test())


def test_an_interpreter_is_gstreamer() -> None:
    """Sound alone, over WHIP, is the voice of a language."""
    python = python_with_gstreamer()

    async def test() -> None:
        async with serving(max_sessions=1, max_channels=1) as (_, http, url):
            sender = Visitor(http, url, height=120, fps=10)
            await sender.connect(**HALL, languages=["es"])
            viewer = Visitor(http, url, sends=False)
            await viewer.connect(role="viewer", room="hall", channel="es")
            with running(python, GSTREAMER, f"{url}/voices/hall?channel=es", "--audio-only"):
                await viewer.until(lambda: any(each["room"].get("dubbed") for each in viewer.got.stats))
                count = len(viewer.got.sounds)
                await viewer.until(lambda: len(viewer.got.sounds) > count + 150)
                assert abs(heard_hz([each[2] for each in viewer.got.sounds[-50:]]) - 440) < 5
            await viewer.close()
            await sender.close()

    asyncio.run(test())


SHOWN = "[...document.querySelectorAll('button, select, input, h1, p')]"
SEEN = "(each) => each.checkVisibility() && each.getBoundingClientRect().width > 1"


@pytest.mark.skipif(browser.PROGRAM is None, reason="neither Chromium nor Chrome is installed")
def test_a_browser_source_is_the_picture_alone_and_nothing_before() -> None:
    """As OBS opens it, in Chromium whose own background is transparent."""
    mine = f"#token={page_walk.TOKEN}"
    with page_walk.people("en") as come:
        source = come(f"?role=viewer&room=hall&plain=1{mine}")
        source.wait_for_timeout(2000)
        assert not alpha(source).any()
        speaker = page_walk.ready(come(f"?room=hall{mine}"))
        speaker.evaluate("() => { document.getElementById('green-always').click(); }")
        speaker.click("#start")
        page_walk.until(source, "document.getElementById('dubbed').getVideoPlaybackQuality().totalVideoFrames > 5")
        source.wait_for_timeout(1000)
        assert (alpha(source)[:, 300:-300] == 255).all()
        shown = source.evaluate(f"() => {SHOWN}.filter({SEEN}).map((each) => each.id)")
        assert shown == ["badge"]  # the page's, of a server that draws none


def alpha(view: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(view.screenshot(omit_background=True))).convert("RGBA"))[..., 3]
