"""Every reader is given broken copies for a moment (``make fuzz``: for minutes); the watcher sees what it should."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzz.breaking import Breaker
from fuzz.child import answer_of
from fuzz.kinds import KINDS, SRT
from fuzz.watching import watch

from realtime_dub.errors import MediaError
from realtime_dub.stored import array_in

MOMENT_S, MOST = 0.5, 80
LATER = ("mp4", "mkv", "avi", "ts", "gif", "onnx")  # each takes seconds to begin, or for a copy


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in LATER])
def test_what_is_broken_is_read_or_refused_in_one_line(kind: str) -> None:
    outcome = watch(kind, "tests", MOMENT_S, most=MOST)
    assert not outcome.failures, [each.why for each in outcome.failures]
    assert outcome.cases > 0
    assert outcome.answers >= 1


def test_copies_follow_from_the_seed() -> None:
    first, again, other = (Breaker([SRT], True, seed) for seed in ("a", "a", "b"))
    copies = [breaker.copy(3) for breaker in (first, again, other)]
    assert copies[0] == copies[1] != copies[2]


def fails(data: bytes) -> None:
    raise KeyError("what nobody foresaw")


def refuses(data: bytes) -> None:
    raise MediaError("cannot read", "a.srt")


def test_an_error_of_another_kind_is_a_failure() -> None:
    assert "KeyError" in answer_of(fails, b"", (MediaError,))[1]
    assert answer_of(refuses, b"", (MediaError,)) == ("MediaError: cannot read a.srt", "")


@pytest.mark.parametrize(
    ("body", "why"), [("while True: pass", "more than"), ("import os; os.kill(os.getpid(), 11)", "signal 11")]
)
def test_a_hang_and_a_crash_are_told_with_what_brought_them_about(
    body: str, why: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import realtime_dub.voice.tts.script as script\n"
        "def read(path):\n"
        "    if b'-->' in path.read_bytes(): return\n"
        f"    {body}\n"
        "script.read_script = read\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr("fuzz.watching.HANG_S", 1.0)
    outcome = watch("srt", "tests", 20.0, most=60)
    assert any(why in each.why and b"-->" not in each.data for each in outcome.failures)


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (9999999999,), }"])
def test_numbers_that_are_not_there_are_refused_and_cost_no_memory(data: bytes) -> None:
    with pytest.raises(ValueError, match="no whole"):
        array_in(data)
