"""The studio's recordings say what they are."""

from __future__ import annotations

import asyncio
import contextlib
import io
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from signed import SHA, by_c2pa, changed, jpeg, png, write_dub
from test_web_safety import ask
from web_peers import HEADERS, serving

from realtime_dub.clock import MonotonicClock
from realtime_dub.config import Signing
from realtime_dub.errors import ConfigError
from realtime_dub.media import MS, Tick
from realtime_dub.pipeline.credentials import MadeBy
from realtime_dub.pipeline.sign_later import sign_later
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.tag import read_tag
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.http import inspections, pictures
from realtime_dub.web.http.pictures import plain_png
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio.recording_signer import RecordingSigner
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.session_recorder import SessionRecorder
from realtime_dub.web.workers.serving import serve

pytestmark = pytest.mark.computes

PERIOD_NS = 40 * MS
PICTURE = np.full((48, 64, 3), 90, np.uint8)


def recorded(folder: Path, signing: RecordingSigner | None) -> tuple[Path, str | None]:
    """A recording of 50 frames, the second half dubbed; where it is, and its note."""

    async def record() -> tuple[Path, str | None]:
        shelf = await asyncio.to_thread(Recordings, folder)
        timeline = OutputTimeline(MonotonicClock(), asyncio.get_running_loop())
        recorder = SessionRecorder(shelf, MonotonicClock(), print, lambda work, _: None, signing)
        begun = await recorder.start(timeline, "me")
        for k in range(50):
            assert timeline.recorder is not None
            timeline.recorder(Tick(PICTURE, 0, PERIOD_NS, k, None, dubbed=k >= 25), k * PERIOD_NS)
            await asyncio.sleep(0.002)
        kept = await recorder.stop()
        assert kept is not None
        return begun.path, kept.note

    return asyncio.run(record())


def test_a_recording_says_when_it_was_dubbed_and_by_what(tmp_path: Path) -> None:
    at_work = [MadeBy("mouthbank", "a net 1.0", SHA)]
    path, note = recorded(tmp_path, RecordingSigner(SigningOptions(), lambda: (at_work[-1], "another's")))
    assert note is None
    assert by_c2pa(path)["validation_state"] == "Valid"
    assert changed(by_c2pa(path)) == [(1.0, 2.0)]
    told = inspect(path).says
    assert told is not None
    names = ("engine", "bundle", "bundle.sha256", "voice")
    assert [told.told[name] for name in names] == ["mouthbank", "a net 1.0", SHA, "another's"]


def test_two_engines_are_both_told(tmp_path: Path) -> None:
    asked = iter([(MadeBy("mouthbank", "a net 1.0", SHA), "own"), (MadeBy("lipgan", "another 2.0", SHA), "own")])
    path, _ = recorded(tmp_path, RecordingSigner(SigningOptions(), lambda: next(asked)))
    told = inspect(path).says
    assert told is not None
    assert told.told["engine"] == "mouthbank, lipgan"
    assert "bundle.sha256" not in told.told


def test_a_recording_that_cannot_be_signed_is_kept_and_says_so(tmp_path: Path) -> None:
    options = SigningOptions(tmp_path / "none.pem", tmp_path / "none.key")
    path, note = recorded(tmp_path / "kept", RecordingSigner(options, lambda: (MadeBy("e", "b", SHA), "own")))
    assert note == "it has no content credentials"
    assert inspect(path).state == "interrupted"
    assert str(tmp_path) not in note


def test_without_credentials_nothing_is_said(tmp_path: Path) -> None:
    assert RecordingSigner.of(ServeConfig(credentials="off"), lambda: (MadeBy(), "own")) is None
    path, note = recorded(tmp_path, None)
    assert (note, inspect(path).state, read_tag(path)) == (None, "missing", None)


def test_what_a_killed_server_left_is_signed_by_the_next(tmp_path: Path) -> None:
    film = write_dub(tmp_path / "left.mp4").path
    (tmp_path / "no-film.mp4").write_bytes(b"no film")
    shelf = Recordings(tmp_path, signing=SigningOptions())
    assert inspect(shelf.find("left")).state == "interrupted"
    shelf.sweep()
    assert inspect(shelf.find("left")).state == "untrusted"
    assert shelf.find("no-film").read_bytes() == b"no film"
    assert [each["size"] for each in shelf.to_dicts(["left"])] == [film.stat().st_size]
    shelf.sweep()
    assert len(list(tmp_path.iterdir())) == 2


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def test_of_a_pages_picture_only_the_picture_is_left() -> None:
    whole = png()
    assert plain_png(whole) == whole
    more = whole[:-12] + chunk(b"tEXt", b"words\0of somebody") + chunk(b"caBX", b"credentials of another") + whole[-12:]
    assert plain_png(more) == whole
    damaged = bytearray(whole)
    damaged[40] ^= 1
    for bad in (
        b"",
        b"no picture",
        whole[:-1],
        whole + b"!",
        whole[:8],
        bytes(damaged),
        whole[:8] + whole[33:],
        jpeg(),
    ):
        with pytest.raises(Refusal, match="no picture"):
            plain_png(bad)


@given(st.binary(max_size=60), st.integers(0, 100))
def test_no_bytes_make_it_fail_otherwise(bad: bytes, at: int) -> None:
    whole = png()
    with contextlib.suppress(Refusal):
        assert plain_png(whole[:at] + bad + whole[at:]).startswith(whole[:8])


def test_a_picture_that_a_page_took_comes_back_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> bytes:
        async with serving() as (_, http, url):
            at = f"{url}/api/pictures"
            assert (await ask(http, "POST", at, data=b"no picture", headers=HEADERS))[0] == 422
            monkeypatch.setattr(pictures, "MOST_PICTURE", 1_000)
            assert (await ask(http, "POST", at, data=bytes(2_000), headers=HEADERS))[0] == 413
            assert (await ask(http, "POST", at, data=png()))[0] == 403  # another site's page
            status, picture, headers = await ask(http, "POST", at, data=png(), headers=HEADERS)
            assert (status, headers["Content-Type"]) == (200, "image/png")
            return picture

    path = tmp_path / "picture.png"
    path.write_bytes(asyncio.run(test()))
    assert by_c2pa(path)["validation_state"] == "Valid"
    assert inspect(path).dubbed


@pytest.mark.slow
def test_a_page_asks_what_a_file_says_of_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "kept"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "kept").mkdir()
    film = write_dub(tmp_path / "dub.mp4")
    assert list(sign_later([film.path], SigningOptions())) == [(film.path, film.path)]

    async def test() -> None:
        async with serving(upload_mb=1) as (_, http, url):
            at = f"{url}/api/inspections"
            data = film.path.read_bytes()
            status, told, _ = await ask(http, "POST", at, data=data, headers=HEADERS)
            assert (status, told["state"], told["dubbed"]) == (200, "untrusted", True)
            assert told["says"]["dubbed"][0][0] == 0
            assert (await ask(http, "POST", at, data={"file": io.BytesIO(data)}, headers=HEADERS))[0] == 415
            assert (await ask(http, "POST", at, data=b"", headers=HEADERS))[0] == 422
            assert (await ask(http, "POST", at, data=bytes(1_000_001), headers=HEADERS))[0] == 413
            assert (await ask(http, "POST", at, data=data))[0] == 403
            monkeypatch.setattr(inspections, "_places", threading.BoundedSemaphore(1))
            inspections._places.acquire()
            status, _, headers = await ask(http, "POST", at, data=data, headers=HEADERS)
            assert (status, headers["Retry-After"]) == (503, "10")
            page = await ask(http, "GET", f"{url}/?role=inspect")
            assert (page[0], b"inspect.js" in page[1]) == (200, True)

    asyncio.run(test())
    assert list((tmp_path / "kept").iterdir()) == []


def test_a_server_that_cannot_sign_as_asked_for_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot use --sign-cert"):
        serve(ServeConfig(sign_cert=tmp_path / "none.pem", sign_key=tmp_path / "none.key"))
    assert Signing().signing == SigningOptions()
