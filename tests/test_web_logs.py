"""What the server's log never says: who came, what was sent, what a library quotes of it; and it cannot be filled."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import pytest

from realtime_dub import faults
from realtime_dub.faults import Faults
from realtime_dub.web import limits
from realtime_dub.web.http.logs import JsonLines, Seldom, structured, unheard

SECRET = "203.0.113.9"


class Datagram(asyncio.DatagramProtocol):
    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        raise ValueError(f"{data!r} of {address}")


@pytest.fixture(autouse=True)
def no_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are of this test alone."""
    monkeypatch.setattr(faults.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(faults, "OURS", Faults())


def said(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    text = capsys.readouterr().err
    assert SECRET not in text
    assert "Traceback" not in text
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["asyncio", "aioice.ice", "aiortc.rtp", "aiohttp.server", "PIL", "av"])
def test_what_a_library_tells_is_its_place_alone(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with structured(quiet=False):
        logging.getLogger(name).error("Error handling request from %s", SECRET)
        try:
            raise OSError(f"no way to {SECRET}")
        except OSError:
            logging.getLogger(name).exception(f"sending to {SECRET} failed")
        logging.getLogger(name).info("checking %s", SECRET)
    lines = said(capsys)
    assert len(lines) == 2
    assert all(name in str(line["event"]) for line in lines)


def test_what_breaks_on_the_loop_tells_nothing_of_a_datagram(capsys: pytest.CaptureFixture[str]) -> None:
    async def test() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(unheard)
        transport, protocol = await loop.create_datagram_endpoint(Datagram, ("127.0.0.1", 0))
        loop.call_soon(protocol.datagram_received, SECRET.encode(), (SECRET, 5))
        loop.call_exception_handler({"message": f"it broke for {SECRET}", "exception": ConnectionResetError(SECRET)})
        await asyncio.sleep(0.01)
        transport.close()

    with structured(quiet=False):
        asyncio.run(test())
    (line,) = said(capsys)
    assert str(line["error"]).startswith("ValueError at test_web_logs")


def test_a_note_names_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    with structured(quiet=False):
        note = "cannot read /tmp/realtime-dub-ab12/secret_id.wav; choose another"
        logging.getLogger("realtime_dub.web").warning("note", extra={"session": "abcdefghij", "note": note})
    (line,) = said(capsys)
    assert (line["session"], line["note"]) == ("abcdef", "cannot read a file choose another")


def test_what_comes_again_and_again_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LINES_BURST", 5)
    monkeypatch.setattr(limits, "LINES_PER_S", 1e6)
    seldom, record = Seldom(), logging.LogRecord("a", logging.ERROR, "", 7, "it failed", (), None)
    monkeypatch.setattr("realtime_dub.web.http.logs.time.monotonic", lambda: 0.0)
    assert [seldom.filter(record) for _ in range(8)] == [True] * 5 + [False] * 3
    assert seldom.filter(logging.LogRecord("a", logging.ERROR, "", 8, "another", (), None))
    monkeypatch.setattr("realtime_dub.web.http.logs.time.monotonic", lambda: 1.0)
    assert seldom.filter(record)
    assert json.loads(JsonLines().format(record))["left_out"] == 3
