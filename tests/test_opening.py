"""A media file opens whatever it is called, and what is no plain media file is refused in one line at once."""

from __future__ import annotations

import os
import re
import socket
import stat
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from films import numbered, steady, write_film

from realtime_dub import cli
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream, MediaError
from realtime_dub.sources.opening import open_media
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.voices import open_voice
from realtime_dub.web.http.reach import certificate

pytestmark = pytest.mark.computes

NO_UTF8 = b"\xff\xfe".decode("utf-8", "surrogateescape")
# To FFmpeg an address, another file, a pattern, a list of files; to a shell an option; to a terminal a command.
STEMS = (
    "12:30",
    "file:x",
    "http:x",
    "data:x",
    "concat:a|b",
    "a%d",
    "100%",
    "a b?",
    "-x",
    NO_UTF8,
    "a\nb",
    "\x1b[2J",
    "é",
)
LONG = "x" * 251


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_film(tmp_path_factory.mktemp("film") / "a.mp4", steady(3), numbered(32, 32), sound_ms=120)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def frames_of(name: str) -> int:
    source = open_video(name, clock=VirtualClock(), live=False)
    source.open()
    count = 0
    try:
        while True:
            source.read()
            count += 1
    except EndOfStream:
        return count
    finally:
        source.close()


@pytest.mark.parametrize("stem", [*STEMS, LONG], ids=ascii)
def test_a_film_opens_under_any_name(stem: str, film: Path) -> None:
    name = f"{stem}.mp4"
    os.link(film, name)
    assert frames_of(name) == 3
    source = open_voice(name, clock=VirtualClock(), video_path=None, live=False)
    assert source.open().rate == 16_000
    source.close()


@pytest.mark.parametrize("stem", [*STEMS, LONG], ids=ascii)
def test_sound_and_pictures_open_under_any_name(stem: str) -> None:
    with wave.open(Path(f"{stem}.wav").open("wb"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(bytes(1_600))
    source = open_voice(f"{stem}.wav", clock=VirtualClock(), video_path=None, live=False)
    assert source.open().rate == 8_000
    source.close()
    Path(f"{stem}.png").write_bytes(cv2.imencode(".png", np.zeros((8, 10, 3), np.uint8))[1].tobytes())
    still = open_video(f"{stem}.png", clock=VirtualClock(), live=False)
    assert (still.open().width, still.read().image.shape) == (10, (8, 10, 3))
    still.close()


def test_a_moving_gif_with_the_name_of_a_pattern_moves() -> None:
    write_film(Path("a%d.gif"), steady(4, 10), numbered(16, 16), codec="gif", pix_fmt="rgb8")
    assert frames_of("a%d.gif") == 4


@pytest.mark.parametrize("suffix", [".mp4", ".png"])
def test_what_is_no_plain_file_is_refused_at_once(suffix: str) -> None:
    os.mkfifo(f"pipe{suffix}")
    Path(f"folder{suffix}").mkdir()
    Path(f"empty{suffix}").touch()
    Path(f"loop{suffix}").symlink_to(f"loop{suffix}")
    refused = {
        f"pipe{suffix}": "it is a pipe",
        f"folder{suffix}": "it is a folder",
        f"empty{suffix}": "it is empty",
        f"loop{suffix}": "too many levels of symbolic links",
        f"socket{suffix}": "cannot read",
        "/dev/zero": "it is a device",
        "x" * 300 + suffix: "file name too long",
        f"empty{suffix}/a{suffix}": "no such file",
        f"zero\0byte{suffix}": "embedded null byte",
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"socket{suffix}")
        for name, says in refused.items():
            with pytest.raises(MediaError, match=says) as caught:
                frames_of(name)
            assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_the_right_to_read_says_so(film: Path) -> None:
    os.link(film, "secret.mp4")
    os.chmod("secret.mp4", stat.S_IWUSR)
    with pytest.raises(MediaError, match="permission denied"):
        frames_of("secret.mp4")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n"),
        ("list.wav", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nhttp://127.0.0.1:{port}/x.ts\n#EXT-X-ENDLIST\n"),
        ("list.ffconcat", "ffconcat version 1.0\nfile film.mp4\n"),
        ("list.png", "ffconcat version 1.0\nfile film.mp4\n"),
        ("list.heic", "ffconcat version 1.0\nfile http://127.0.0.1:{port}/x.ts\n"),
        ("list.mp4", "ffconcat version 1.0\nfile http://127.0.0.1:{port}/x.ts\n"),
        (
            "call.sdp",
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 50124 RTP/AVP 96\n"
            "a=rtpmap:96 H264/90000\n",
        ),
    ],
)
def test_a_file_that_points_to_others_opens_none_of_them(name: str, text: str, film: Path) -> None:
    os.link(film, "film.mp4")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        Path(name).write_text(text.format(port=server.getsockname()[1]))
        with pytest.raises(MediaError, match=f"cannot read {name}: .*; choose another"):
            open_media(name, "choose another")
        with pytest.raises(MediaError):
            frames_of(name)
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("option", ["--identity", "--bundle"])
def test_a_bank_or_bundle_that_is_no_plain_file_is_refused_at_once(
    option: str, film: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = Path("given" if option == "--bundle" else ".")
    folder.mkdir(exist_ok=True)
    name = "spec.json" if option == "--bundle" else "me.bank"
    for make, says in {
        os.mkfifo: "it is a pipe",
        os.mkdir: "it is a folder",
        lambda path: Path(path).touch(): "it is empty",
        lambda path: Path(path).symlink_to("/dev/zero"): "it is a device",
        lambda path: Path(path).write_bytes(b"[" * 100_000): "cannot read bank|damaged bundle",
    }.items():
        path = folder / name
        make(path)
        given = str(folder if option == "--bundle" else path)
        assert cli.run(["file", str(film), "-o", "out.mp4", option, given]) == 2
        err = capfd.readouterr().err
        assert (err.count("\n"), bool(re.search(says, err))) == (1, True), err
        path.rename(path.with_suffix(f".{len(os.listdir(folder))}"))


def test_a_certificate_that_is_no_plain_file_is_refused_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    os.mkfifo("pipe.pem")
    for given, says in (("pipe.pem", "it is a pipe"), ("/dev/zero", "it is a device"), ("none.pem", "No such file")):
        assert cli.run(["serve", "--port", "0", "--tls-cert", given, "--tls-key", given]) == 2
        err = capfd.readouterr().err
        assert (says in err, err.count("\n")) == (True, 1)
        found = certificate(Path(given), Path(given))
        assert (found.state, says in found.detail) == ("fail", True)
