"""A process that loads beside others goes slowly, and then as fast as they, all of its threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from realtime_dub.web.workers import gently

pytestmark = pytest.mark.computes
CHILD = """
import os, sys, threading
from realtime_dub.web.workers.gently import rise
sys.stdin.readline()
thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
def all_of_them():
    return sorted({os.getpriority(os.PRIO_PROCESS, int(each)) for each in os.listdir("/proc/self/task")})
before = all_of_them()
rise()
print(before, all_of_them())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="priorities are a process's elsewhere")
@pytest.mark.parametrize("may", [True, False])
def test_it_is_slow_only_where_it_may_be_quick_again(may: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    if may and not gently._may_rise():
        pytest.skip("this process may not ask for a higher priority")
    if not may:
        monkeypatch.setattr(gently, "_may_rise", lambda: False)
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    gently.slow_down(child.pid)
    told, _ = child.communicate("go\n", timeout=60)
    assert told.strip() == (f"[{gently.SLOWLY}] [0]" if may else f"[{usual}] [{usual}]")
