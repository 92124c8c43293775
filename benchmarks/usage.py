"""What processes take, from /proc: processor time, memory, threads, open files."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Usage:
    """One process, or several added up."""

    cpu_s: float = 0.0
    rss_mb: float = 0.0
    threads: int = 0
    files: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(self.cpu_s + other.cpu_s, self.rss_mb + other.rss_mb,
                     self.threads + other.threads, self.files + other.files)  # fmt: skip


def of(pid: int) -> Usage:
    """Raises OSError where it has ended."""
    proc = Path("/proc", str(pid))
    fields = (proc / "stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(fields[11]) + int(fields[12])) / TICKS
    return Usage(cpu_s, int(fields[21]) * PAGE / 1e6, int(fields[17]), len(os.listdir(proc / "fd")))


def machine_cpu_s() -> float:
    """Processor time of all that runs here, since the machine was started."""
    user, nice, system, _, _, irq, softirq, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(map(int, (user, nice, system, irq, softirq))) / TICKS


def with_children(pid: int) -> Usage:
    """It, and all that descend from it."""
    return sum((_alive(each) for each in [pid, *children(pid)]), Usage())


def children(pid: int) -> list[int]:
    """All that descend from a process."""
    parents: dict[int, list[int]] = defaultdict(list)
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                parents[int((each / "stat").read_text().rpartition(")")[2].split()[1])].append(int(each.name))
            except OSError:
                continue  # it has ended meanwhile
    found = list(parents[pid])
    for child in found:  # which grows
        found += parents[child]
    return found


def browsers() -> dict[str, list[int]]:
    """The processes of Chromium below this one, by what they are for."""
    found: dict[str, list[int]] = defaultdict(list)
    for pid in children(os.getpid()):
        try:
            words = Path("/proc", str(pid), "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
        except OSError:
            continue
        if "chrom" in words.partition(" ")[0]:
            kind = words.partition("--type=")[2].partition(" ")[0] or "browser"
            service = words.partition("--utility-sub-type=")[2].partition(" ")[0].partition(".")[0]
            found[f"{kind} {service}".strip()].append(pid)
    return found


class Meter:
    """What each group of processes takes from its making to :meth:`read`."""

    def __init__(self, groups: dict[str, list[int]]) -> None:
        self._groups = groups
        self._began_s, self._before = time.monotonic(), self._now()

    def read(self) -> dict[str, dict[str, float]]:
        """Per group: processor seconds per second, and memory (MB), threads and open files now."""
        seconds = time.monotonic() - self._began_s
        now = self._now()
        return {
            name: {
                "cpu": (each.cpu_s - self._before[name].cpu_s) / seconds,
                "rss_mb": each.rss_mb,
                "threads": each.threads,
                "files": each.files,
            }
            for name, each in now.items()
        }

    def _now(self) -> dict[str, Usage]:
        return {name: sum((_alive(pid) for pid in pids), Usage()) for name, pids in self._groups.items()}


def _alive(pid: int) -> Usage:
    try:
        return of(pid)
    except OSError:
        return Usage()
