"""The rooms of the engines do not know each other: they import what is common, and the program."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.computes

ENGINES = Path(__file__).parents[1] / "engines"
COMMON = "common"
ROOMS = sorted(path.name for path in ENGINES.iterdir() if (path / "__init__.py").exists())
MODULES = sorted(path for path in ENGINES.rglob("*.py") if path.parent != ENGINES)


def imported(path: Path) -> Iterator[str]:
    """Every module of ``engines`` that a file imports, and those that it names as text."""
    here = ("engines", *path.relative_to(ENGINES).with_suffix("").parts)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(here[: len(here) - node.level]) if node.level else ""
            base = ".".join(part for part in (above, node.module or "") if part)
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("engines."):
            yield node.value.partition(":")[0]


def strangers(path: Path) -> list[str]:
    """What a file imports of other rooms, of the tests and the benchmarks."""
    room = path.relative_to(ENGINES).parts[0]
    found = []
    for name in imported(path):
        top, _, rest = name.partition(".")
        other = rest.partition(".")[0]
        if top in ("benchmarks", "tests", "export") or (top == "engines" and other not in ("", room, COMMON)):
            found.append(f"{path.name} imports {name}")
    return sorted(found)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ENGINES)))
def test_a_room_imports_what_is_common_alone(path: Path) -> None:
    assert strangers(path) == []


def test_there_are_rooms_to_look_at() -> None:
    assert {COMMON, "mouthbank", "speech"} <= set(ROOMS)


def test_an_import_across_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "mouthbank" / "bad.py"
    bad.parent.mkdir()
    bad.write_text(
        "from engines import speech\n"
        "from ..speech.network import SpeechNet\n"
        "from engines.common import loop\n"
        "def f():\n"
        "    import engines.speech.evaluate\n"
        "    import benchmarks.quality\n"
        "TABLE = {'x': 'engines.speech.engine:STAGES'}\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ENGINES", tmp_path)
    assert [line.split(" imports ")[1] for line in strangers(bad)] == [
        "benchmarks.quality",
        "engines.speech",
        "engines.speech.engine",
        "engines.speech.evaluate",
        "engines.speech.network.SpeechNet",
    ]
