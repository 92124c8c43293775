"""Imports go down only (ARCHITECTURE.md), and what must start light starts light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "realtime_dub"

# From the bottom up. A part may import from its own layer only what BESIDE gives it, and anything below.
LAYERS = (
    ("errors",),
    (
        *("bounds", "faults", "finding", "imports", "media", "paths", "signals", "standard_streams", "terminal"),
        "validation",
    ),
    ("clock", "fitting", "flow", "losses", "notes", "writing"),
    ("audio", "blend", "contact_sheet", "face", "inference", "mouth", "publishers", "sources", "voice"),
    ("config", "pipeline"),
    ("api", "cli", "doctor", "web"),
    ("start",),
    ("__main__",),
)
BESIDE = {
    "inference": {"audio"},
    "mouth": {"audio", "blend", "face", "inference"},
    "blend": {"face"},
    "contact_sheet": {"blend", "face"},
    "sources": {"audio"},
    "publishers": {"audio"},
    "voice": {"face"},
    "pipeline": {"config"},
    "cli": {"doctor", "web"},
    "doctor": {"web"},
}
# Publishers that are made of the studio's parts. Only the table names them, and loads them when they are asked for.
NAMED_ABOVE = {("publishers", "realtime_dub.web.webrtc_publisher"), ("publishers", "realtime_dub.web.whip_publisher")}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
NEVER = {"engines", "export", "benchmarks", "tests", "torch"}
HEAVY = ("torch", "cv2", "mediapipe", "aiortc", "onnxruntime")
TABLE_ENTRY = re.compile(r"\w+(\.\w+)+:\w+")
MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, anywhere in it: of ``from a import b`` both ``a`` and ``a.b``, and what its
    tables name as ``"module:attribute"``.
    """
    here = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module or "") if part)
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and TABLE_ENTRY.fullmatch(node.value):
            yield node.value.partition(":")[0]


def part_of(module: str) -> str | None:
    """``realtime_dub.sources.base`` -> ``sources``; None for what is not ours, or is the bare package."""
    names = module.split(".")
    return names[1] if names[0] == "realtime_dub" and len(names) > 1 and names[1] in LEVEL else None


def offences(path: Path) -> list[str]:
    part = part_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found = sorted(f"{path.name} imports {name}" for name in imported(path) if name.split(".")[0] in NEVER)
    if part is None:
        return found
    for name in sorted(set(imported(path))):
        other = part_of(name)
        if other in (None, part) or LEVEL[other] < LEVEL[part] or other in BESIDE.get(part, set()):
            continue
        if (part, name) in NAMED_ABOVE:
            continue
        found.append(f"{path.name} ({part}) imports {name}")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    assert offences(path) == []


def test_every_part_has_a_layer() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert parts - set(LEVEL) - {"__init__", "__main__"} == set()


def test_sources_and_publishers_are_strangers() -> None:
    for mine, other in (("sources", "publishers"), ("publishers", "sources")):
        for path in (PACKAGE / mine).rglob("*.py"):
            assert other not in {part_of(name) for name in imported(path)}, path


ROOMS = sorted(path.parent for path in (PACKAGE / "mouth").glob("*/__init__.py"))


def test_rooms_of_engines_are_strangers() -> None:
    names = {room.name for room in ROOMS}
    assert "mouthbank" in names
    for room in ROOMS:
        for path in room.rglob("*.py"):
            others = {name.split(".")[2] for name in imported(path) if name.startswith("realtime_dub.mouth.")}
            assert others & names <= {room.name}, path


def test_engines_are_named_in_their_rooms_and_in_the_registry_alone() -> None:
    """What asks for an engine by its name asks for what it can do, or it does not know the next one."""
    named = re.compile(r"""["']mouthbank["']|mouth\.mouthbank|mouth\.passthrough|["']passthrough["'].*engine""")
    allowed = {PACKAGE / "mouth" / "registry.py", PACKAGE / "mouth" / "passthrough.py"}
    for path in MODULES:
        if path not in allowed and not any(room in path.parents for room in ROOMS):
            assert not named.search(path.read_text()), path


def test_an_upward_import_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = tmp_path / "realtime_dub" / "sources" / "bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "def f():\n"
        "    from ..publishers import base\n"
        "    import torch.nn\n"
        "    from realtime_dub import cli\n"
        "TABLE = {'x': 'realtime_dub.pipeline.live.run:run_live'}\n"
    )
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert [line.split(" imports ")[1] for line in offences(bad)] == [
        "torch.nn",
        "realtime_dub.cli",
        "realtime_dub.pipeline.live.run",
        "realtime_dub.publishers",
        "realtime_dub.publishers.base",
    ]


@pytest.mark.parametrize("module", ["realtime_dub", "realtime_dub.cli", "realtime_dub.config"])
def test_starts_light(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
