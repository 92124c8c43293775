"""The rule is said on the first run of somebody at a terminal, and not again."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from realtime_dub.cli.output import state_rule
from realtime_dub.trust import rule

pytestmark = pytest.mark.computes


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_once_at_a_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    at_a_terminal(monkeypatch)
    state_rule(quiet=False)
    state_rule(quiet=False)
    assert " ".join(capsys.readouterr().err.split()).count(rule.RULE) == 1


def test_quiet_leaves_it_for_later(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    at_a_terminal(monkeypatch)
    state_rule(quiet=True)
    assert capsys.readouterr().err == ""
    state_rule(quiet=False)
    assert "owners agree" in capsys.readouterr().err


def test_without_a_terminal_nothing_is_said_or_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state_rule(quiet=False)
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "state").exists()


def test_where_nothing_can_be_kept_it_is_said_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state").write_text("")
    at_a_terminal(monkeypatch)
    for _ in range(2):
        state_rule(quiet=False)
    assert capsys.readouterr().err.count("owners agree") == 2
