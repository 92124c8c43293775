"""tools/test.sh: which failures are tried once more, and what is told of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.computes, pytest.mark.skipif(os.name != "posix", reason="there is no bash")]

ROOT = Path(__file__).parents[1]
CONFIGURED = """
[pytest]
testpaths = tests
addopts = -q --strict-markers
markers =
    slow:
    computes:
    studio:
    alone:
    long:
"""
# Each fails as often as it is told to, and counts how often it ran.
TESTS = """
from pathlib import Path
import pytest

def fails(name, times):
    runs = Path(f"{name}.runs")
    runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
    assert len(runs.read_text()) > times, f"{name} was disturbed"

"""


def made(folder: Path, **times: int) -> Path:
    """A folder whose tests ``MARK_NAME`` fail so often; of the mark ``clocked`` are those that have none."""
    (folder / "tests").mkdir()
    (folder / "tools").symlink_to(ROOT / "tools")
    (folder / "pytest.ini").write_text(CONFIGURED)
    lines = []
    for name, count in times.items():
        mark = name.partition("_")[0]
        lines += [f"@pytest.mark.{mark}"] * (mark != "clocked")
        lines += [f"def test_{name}():", f"    fails({name!r}, {count})", ""]
    (folder / "tests/test_some.py").write_text(TESTS + "\n".join(lines))
    return folder


def run(folder: Path, *more: str) -> tuple[int, str]:
    command = ("tools/test.sh", sys.executable, "not long", *more)
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a quarter of the time
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert not done.stderr
    return done.returncode, done.stdout


def runs(folder: Path) -> dict[str, int]:
    return {each.stem: len(each.read_text()) for each in folder.glob("*.runs")}


def test_what_failed_beside_others_and_is_green_alone_is_named_with_its_failure(tmp_path: Path) -> None:
    folder = made(tmp_path, clocked_well=0, clocked_once=1, studio_once=1, computes_well=0, alone_well=0)
    code, said = run(folder)
    assert code == 0, said
    assert runs(folder) == {"clocked_well": 1, "clocked_once": 2, "studio_once": 2, "computes_well": 1, "alone_well": 1}
    for name in ("clocked_once", "studio_once"):
        assert f"failed beside others, green alone: tests/test_some.py::test_{name}\n" in said
        assert said.rindex(f"{name} was disturbed") > said.index("Tried once more, alone:")


def test_what_fails_alone_too_is_a_failure(tmp_path: Path) -> None:
    folder = made(tmp_path, clocked_once=1, studio_twice=2)
    code, said = run(folder)
    assert code == 1, said
    assert "green alone" not in said


@pytest.mark.parametrize("kind", ["computes", "alone"])
def test_what_only_computes_or_ran_alone_has_no_second_try(kind: str, tmp_path: Path) -> None:
    folder = made(tmp_path, clocked_once=1, **{f"{kind}_once": 1})
    code, said = run(folder)
    assert code == 1, said
    assert runs(folder) == {"clocked_once": 2, f"{kind}_once": 1}


def test_of_more_than_three_none_is_tried_again(tmp_path: Path) -> None:
    folder = made(tmp_path, clocked_a=1, clocked_b=1, studio_a=1, studio_b=1)
    code, said = run(folder)
    assert code == 1, said
    assert set(runs(folder).values()) == {1}
    assert "4 tests failed beside others" in said


def test_a_run_that_was_stopped_has_no_second_try(tmp_path: Path) -> None:
    folder = made(tmp_path, clocked_once=1, clocked_well=0)
    code, said = run(folder, "-x")
    assert code == 1, said
    assert runs(folder) == {"clocked_once": 1}


def test_a_group_of_which_nothing_is_left_does_not_count(tmp_path: Path) -> None:
    folder = made(tmp_path, computes_well=0)
    assert run(folder)[0] == 0
    assert run(folder, "-k", "nobody")[0] == 5
