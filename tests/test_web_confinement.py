"""A process that looks at a stranger's file meets its limits: each has a sentence, and nothing of it is left."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import mutations
import pytest

from realtime_dub.web.confinement import leave_network
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio import check_file
from realtime_dub.web.studio.checks import PROGRAM, Checks, Reader

BOUND = "from realtime_dub.web.confinement import bound; bound({}); "
ANSWER = (
    "import json; from realtime_dub.web.studio import check_file; "
    "check_file.READERS = {{'sound': lambda path, out: {}}}; "
)
ASKED = "print(json.dumps(check_file._answer('sound', 'a', 'b')))"


def run(does: str, path: Path) -> dict[str, object]:
    """By a process that does so. It is gone afterwards."""
    found: list[Reader] = []
    checks = Checks((sys.executable, "-c", does))
    begin = checks._begin
    checks._begin = lambda path: found.append(begin(path)) or found[0]  # type: ignore[method-assign,func-returns-value]
    try:
        return checks.run("sound", path, path.with_suffix(".out"))
    finally:
        assert not found[0].waits
        assert not Path(f"/proc/{found[0]._process.pid}").exists()


def test_time_has_an_end_in_the_middle_of_whatever_it_does(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="too long to read"):
        run(BOUND.format("1, 1 << 30, 1 << 20, 32") + "sum(range(1 << 60))", tmp_path / "a")


@pytest.mark.parametrize(
    ("limits", "does", "said"),
    [
        ("9, 1 << 26, 1 << 20, 32", "bytearray(1 << 30)", "more memory than any should"),
        ("9, 1 << 30, 1 << 16, 32", "open('{out}', 'wb').write(bytes(1 << 20))", "larger than any should be"),
        ("9, 1 << 30, 1 << 20, 32", "[open('/dev/null') for _ in range(99)]", "more files than any should"),
    ],
)
def test_each_limit_has_its_sentence(limits: str, does: str, said: str, tmp_path: Path) -> None:
    does = does.format(out=tmp_path / "out")
    with pytest.raises(Refusal, match=said):
        run(ANSWER.format(does) + BOUND.format(limits) + ASKED, tmp_path / "a")
    assert sum(each.stat().st_size for each in tmp_path.iterdir()) <= 1 << 16


def test_what_a_process_says_without_end_is_not_heard(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="cannot be read"):
        run("print('[' * (1 << 24))", tmp_path / "a")


def test_it_reaches_no_address_of_this_machine(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        try_it = f"import socket; socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 5)"
        left = "from realtime_dub.web.confinement import leave_network; left = leave_network(); "
        told = "\nexcept OSError: reached = False\nimport json; print(json.dumps({'left': left, 'reached': reached}))"
        fields = run(f"{left}\ntry: {try_it}; reached = True{told}", tmp_path / "a")
        assert run(f"left = False\ntry: {try_it}; reached = True{told}", tmp_path / "a")["reached"]
    if not fields["left"]:
        pytest.skip("this system lets no process leave the network")
    assert not fields["reached"]


def test_the_next_one_is_there_before_it_is_needed(tmp_path: Path) -> None:
    checks = Checks(PROGRAM, spare=True)
    path = tmp_path / "a.wav"
    path.write_bytes(mutations.sample(".wav"))
    try:
        assert checks.run("sound", path, tmp_path / "1.flac")["seconds"] == pytest.approx(0.2)
        spare = checks._spare
        assert spare is not None
        assert spare.waits
        assert checks.run("sound", path, tmp_path / "2.flac") == {"seconds": pytest.approx(0.2)}
        assert not spare.waits
        assert (tmp_path / "1.flac").read_bytes() == (tmp_path / "2.flac").read_bytes()
        last = checks._spare
        assert last is not None
        assert last.waits
        last.kill()  # one that died is no loss
        path.write_bytes(b"no voice at all")
        with pytest.raises(Refusal):
            checks.run("sound", path, tmp_path / "3.flac")
    finally:
        last = checks._spare
        checks.close()
    assert last is not None
    assert not last.waits
    assert checks._spare is None


def test_every_limit_that_the_system_tells_has_a_sentence_and_what_to_do() -> None:
    assert all(len(each.split("; ")) == 2 for each in check_file.LIMITS.values())


def test_leaving_is_told_where_it_cannot_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("realtime_dub.web.confinement.ctypes.CDLL", lambda _: type("C", (), {"unshare": lambda *_: -1}))
    assert not leave_network()
