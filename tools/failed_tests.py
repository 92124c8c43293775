"""Tests that failed beside others are tried once more, alone; for tools/test.sh.

``pytest -p tools.failed_tests --failed-to FILE`` writes which tests failed, and how, as JSON: a text by name. It writes
none where the run says nothing of its other tests: it was stopped, killed, or could not read one of its files.

``python -m tools.failed_tests FOLDER COMMAND...`` gives the names in the files of FOLDER to the command, and ends as
that does; with 1 where there are too many of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MOST = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failed-to", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    if config.option.failed_to is not None:
        config.pluginmanager.register(Failed(config.option.failed_to))


class Failed:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._texts: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Of its beginning, the test itself and its end: the first that failed counts."""
        if report.failed:
            self._texts.setdefault(report.nodeid, report.longreprtext)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if exitstatus == pytest.ExitCode.TESTS_FAILED and not (session.shouldfail or session.shouldstop):
            self._path.write_text(json.dumps(self._texts))


def again(folder: Path, command: list[str]) -> int:
    """The exit code of the tests that failed beside others, alone."""
    texts = {name: text for path in sorted(folder.iterdir()) for name, text in json.loads(path.read_text()).items()}
    if len(texts) > MOST:
        print(f"{len(texts)} tests failed beside others: more than {MOST} are not tried alone.")
        return 1
    print("Tried once more, alone:", *texts, flush=True)
    code = subprocess.run([*command, *texts], check=False).returncode
    for name, text in texts.items() if code == 0 else ():
        print(f"\n{text}\n\n!!!!!!!! failed beside others, green alone: {name}\n")
    return code


if __name__ == "__main__":
    sys.exit(again(Path(sys.argv[1]), sys.argv[2:]))
