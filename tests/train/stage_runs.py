"""Stages as the shell runs them, and films for them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from talkers import write_talker

from engines.common import command


def execute(monkeypatch: pytest.MonkeyPatch, name: str, *arguments: object) -> int:
    """A command as the shell runs it; its exit code."""
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        getattr(command, name.replace("-", "_"))()
    return int(ended.value.code or 0)


def prepared_film(monkeypatch: pytest.MonkeyPatch, root: Path) -> Path:
    """Three people filmed, by prepare-dataset: faces and mouths, no phonemes."""
    for index, who in enumerate(("s1", "s2", "s3")):
        (root / "film" / who).mkdir(parents=True)
        write_talker(root / "film" / who / f"c{index}.mkv", seed=index)
    options = "--layout", "grid", "--crops", "none", "--no-phones", "-q", "-o", root / "prepared"
    assert execute(monkeypatch, "prepare-dataset", root / "film", *options) == 0
    return root / "prepared"
