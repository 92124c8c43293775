"""Every `python -m engines...` or `benchmarks...` that a page, a script or a module speaks of is a command."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMMAND = re.compile(r"-m ((?:engines|benchmarks)(?:\.\w+)+)")
# What was, not what is.
HISTORY = {"CHANGELOG.md", "dev-log.md"}


def pages() -> list[Path]:
    folders = [ROOT / name for name in ("docs", "engines", "benchmarks", "tools", "examples")]
    nested = [path for folder in folders for path in folder.rglob("*") if path.suffix in (".md", ".py", ".sh")]
    return [*(path for path in ROOT.glob("*.md") if path.name not in HISTORY), ROOT / "Makefile", *nested]


def test_commands_are_there() -> None:
    found = {(path, name) for path in pages() for name in COMMAND.findall(path.read_text("utf-8"))}
    assert len(found) > 20
    for path, name in sorted(found):
        module = ROOT / f"{name.replace('.', '/')}.py"
        assert module.exists(), f"{path.relative_to(ROOT)}: {name}"
        assert 'if __name__ == "__main__":' in module.read_text("utf-8"), f"{path.relative_to(ROOT)}: {name}"
