"""``PYTHONPATH=tests python -m fuzz [--seconds 600] [--seed TEXT] [--kind NAME ...] [--cases N] [--keep FOLDER]
[--counts FILE]``.

A table, and JSON on the last line; the exit code is 1 where a reader failed. With ``--cases`` every kind has so many.
``--counts`` adds to a file what was read: by kind the copies, the seeds and the failures.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.kinds import KINDS
from fuzz.watching import Outcome, watch
from rich.console import Console
from rich.table import Table

COLUMNS = ("kind", "copies", "read", "answers", "a second", "most MB", "failures")


def main() -> int:
    options = _parser().parse_args()
    kinds = options.kind or list(KINDS)
    share = options.seconds * options.jobs / len(kinds)
    most = options.cases or 1 << 40
    with ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(lambda kind: watch(kind, options.seed, share, most), kinds))
    _show(outcomes)
    _keep(outcomes, options.keep)
    if options.counts is not None:
        _count(outcomes, options.seed, options.counts)
    rows = {each.kind: [each.cases, each.taken, each.answers, len(each.failures)] for each in outcomes}
    total = sum(each.cases for each in outcomes)
    print(json.dumps({"fuzz": options.seed, "copies": total, "rows": rows}))
    return int(any(each.failures for each in outcomes))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fuzz", description="Broken input for every reader.")
    parser.add_argument("--seconds", type=float, default=600, help="for all kinds together")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--kind", action="append", choices=list(KINDS), help="only this one; may stand several times")
    parser.add_argument("--cases", type=int, help="copies of each kind, if the time is enough")
    parser.add_argument("--jobs", type=int, default=1, help="kinds at a time")
    parser.add_argument("--keep", type=Path, default=Path("fuzz-failures"), help="folder for what was not read")
    parser.add_argument("--counts", type=Path, help="a file (JSON) that counts what was read, in all")
    return parser


def _count(outcomes: list[Outcome], seed: str, path: Path) -> None:
    counts = json.loads(path.read_text()) if path.exists() else {}
    for each in outcomes:
        row = counts.setdefault(each.kind, {"copies": 0, "read": 0, "failures": 0, "seeds": []})
        row["copies"] += each.cases
        row["read"] += each.taken
        row["failures"] += len(each.failures)
        row["seeds"] = [*row["seeds"], seed]
    path.write_text("{\n" + ",\n".join(f' "{kind}": {json.dumps(row)}' for kind, row in counts.items()) + "\n}\n")


def _show(outcomes: list[Outcome]) -> None:
    table = Table(*COLUMNS)
    for each in outcomes:
        speed = each.cases / max(each.seconds, 0.001)
        figures = (each.cases, each.taken, each.answers, f"{speed:.0f}", f"{each.most_mb:.0f}", len(each.failures))
        table.add_row(each.kind, *map(str, figures))
    Console(width=100).print(table)


def _keep(outcomes: list[Outcome], folder: Path) -> None:
    for each in outcomes:
        for failure in each.failures:
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{each.kind}-{failure.number}"
            path.write_bytes(failure.data)
            print(f"{path}: {failure.why}")


if __name__ == "__main__":
    raise SystemExit(main())
