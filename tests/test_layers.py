"""Imports go down only (ARCHITECTURE.md), and what must start light starts light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.computes

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "realtime_dub"

# From the bottom up. A part may import from its own layer only what BESIDE gives it, and anything below.
LAYERS = (
    ("errors",),
    (
        *("bounds", "faults", "finding", "imports", "media", "paths", "quiet", "signals", "standard_streams"),
        *("stored", "terminal", "validation"),
    ),
    ("clock", "fitting", "flow", "i420", "losses", "notes", "writing"),
    ("audio", "blend", "contact_sheet", "face", "inference", "mouth", "publishers", "sources", "trust", "voice"),
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
    "publishers": {"audio", "trust"},
    "voice": {"audio", "face", "inference", "sources"},
    "trust": {"inference", "sources"},
    "pipeline": {"config"},
    "cli": {"doctor", "web"},
    "doctor": {"web"},
}
# Publishers that are made of the studio's parts. Only the table names them, and loads them when they are asked for.
NAMED_ABOVE = {
    ("publishers", "realtime_dub.web.publish.webrtc_publisher"),
    ("publishers", "realtime_dub.web.publish.whip_publisher"),
}
# The rooms of the studio, from the bottom up. A room imports from those below it; what lies beside them, all may.
# `publish` is on top, because `--to webrtc` opens a server of pages of its own.
WEB_ROOMS = ("rtc", "studio", "http", "workers", "fleet", "publish")
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
NEVER = {"engines", "export", "benchmarks", "tests", "torch"}
HEAVY = ("torch", "cv2", "mediapipe", "aiortc", "onnxruntime", "c2pa", "cryptography", "ray")
TABLE_ENTRY = re.compile(r"\w+(\.\w+)+:\w+")
MODULES = sorted(PACKAGE.rglob("*.py"))


def statements(path: Path) -> Iterator[tuple[str, str]]:
    """Every import of a file, anywhere in it, as (module, what of it); also what its tables name as
    ``"module:attribute"``.
    """
    here = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(here[: len(here) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module or "") if part)
            yield from ((base, alias.name) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and TABLE_ENTRY.fullmatch(node.value):
            yield node.value.partition(":")[0], ""


def imported(path: Path) -> set[str]:
    """Every module that a file may import: of ``from a import b`` both ``a`` and ``a.b``."""
    found = set(statements(path))
    return {module for module, _ in found} | {f"{module}.{name}" for module, name in found if name}


def part_of(module: str) -> str | None:
    """``realtime_dub.sources.base`` -> ``sources``; None for what is not ours, or is the bare package."""
    names = module.split(".")
    return names[1] if names[0] == "realtime_dub" and len(names) > 1 and names[1] in LEVEL else None


def name_of(path: Path) -> str:
    """``realtime_dub/web/rates.py`` -> ``realtime_dub.web.rates``; a package is called as its folder."""
    names = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(names[:-1] if names[-1] == "__init__" else names)


def room_of(module: str) -> int:
    """How high its room is in the studio; -1 for what all rooms share."""
    names = module.split(".")
    return WEB_ROOMS.index(names[2]) if len(names) > 3 and names[2] in WEB_ROOMS else -1


def graph_of(paths: list[Path]) -> dict[str, set[str]]:
    """Which of ``paths`` imports which. Of ``from a import b`` it is b where that is a module, else a. The bare package
    is left out: it only names what is loaded when it is asked for.
    """
    names = {name_of(path) for path in paths} - {"realtime_dub"}
    graph = {}
    for path in paths:
        exact = {f"{module}.{name}" if f"{module}.{name}" in names else module for module, name in statements(path)}
        graph[name_of(path)] = exact & names - {name_of(path)}
    return graph


def circles(graph: dict[str, set[str]]) -> list[frozenset[str]]:
    """Modules that import each other, over however many others."""
    above = {module: reached(graph, module) for module in graph}
    rings = {frozenset(other for other in above[module] if module in above.get(other, ())) for module in graph}
    return sorted((ring for ring in rings if len(ring) > 1), key=sorted)


def reached(graph: dict[str, set[str]], module: str) -> set[str]:
    found: set[str] = set()
    waiting = set(graph[module])
    while waiting:
        found.add(other := waiting.pop())
        waiting |= graph.get(other, set()) - found
    return found


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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_tables_name_what_there_is(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and TABLE_ENTRY.fullmatch(node.value):
            module, _, attribute = node.value.partition(":")
            if module.startswith("realtime_dub."):
                place = ROOT.joinpath(*module.split("."))
                text = (place / "__init__.py" if place.is_dir() else place.with_suffix(".py")).read_text()
                assert re.search(rf"^(def |class |from .* import .*)?\b{attribute}\b", text, re.MULTILINE), node.value


def test_every_part_has_a_layer() -> None:
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in MODULES}
    assert parts - set(LEVEL) - {"__init__", "__main__"} == set()


def test_sources_and_publishers_are_strangers() -> None:
    for mine, other in (("sources", "publishers"), ("publishers", "sources")):
        for path in (PACKAGE / mine).rglob("*.py"):
            assert other not in {part_of(name) for name in imported(path)}, path


# Rooms that are built on another one.
BUILT_ON = {"own_texture": {"mouthbank"}, "avatar": {"mouthbank"}}
ROOMS = sorted(path.parent for path in (PACKAGE / "mouth").glob("*/__init__.py"))


def test_rooms_of_engines_are_strangers() -> None:
    names = {room.name for room in ROOMS}
    assert "mouthbank" in names
    for room in ROOMS:
        for path in room.rglob("*.py"):
            others = {name.split(".")[2] for name in imported(path) if name.startswith("realtime_dub.mouth.")}
            assert others & names <= {room.name, *BUILT_ON.get(room.name, set())}, path


def test_engines_are_named_in_their_rooms_and_in_the_registry_alone() -> None:
    """What asks for an engine by its name asks for what it can do, or it does not know the next one."""
    quoted = r"""["'](mouthbank|own-texture|lipgan|wav2lip|landmark-dub)["']|["']passthrough["'].*engine"""
    named = re.compile(rf"{quoted}|mouth\.(mouthbank|painter|passthrough)")
    allowed = {PACKAGE / "mouth" / "registry.py", PACKAGE / "mouth" / "passthrough.py"}
    for path in MODULES:
        if path not in allowed and not any(room in path.parents for room in ROOMS):
            assert not named.search(path.read_text()), path


@pytest.mark.parametrize("path", sorted((PACKAGE / "web").rglob("*.py")), ids=lambda path: path.name)
def test_rooms_of_the_studio_import_down(path: Path) -> None:
    mine = room_of(name_of(path))
    assert {name for name in imported(path) if name.startswith("realtime_dub.web.") and room_of(name) > mine} == set()


def test_no_module_imports_itself_in_a_circle() -> None:
    """Type checkers' imports and tables count: they say as much of who needs whom."""
    assert [sorted(ring) for ring in circles(graph_of(MODULES))] == []


def test_a_circle_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "realtime_dub"
    package.mkdir()
    texts = {
        "host": "TABLE = {'x': 'realtime_dub.guest:Guest'}",
        "guest": "if TYPE_CHECKING:\n    from realtime_dub.way import Way",
        "way": "from realtime_dub import host",
        "alone": "from realtime_dub import host",
    }
    for name, text in texts.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    ring = frozenset({"realtime_dub.host", "realtime_dub.guest", "realtime_dub.way"})
    assert circles(graph_of(sorted(package.glob("*.py")))) == [ring]


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
