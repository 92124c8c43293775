"""What was found: for a terminal, for programs (JSON), and for people (one HTML file that loads nothing)."""

from __future__ import annotations

import html
import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE
from rich.table import Table

from export.parity import AGREES, LIMITS
from export.trials import Trial
from realtime_dub.inference import gpu
from realtime_dub.inference.engine_cache import Entry
from realtime_dub.inference.variants import MAKER

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1c2430}
table{border-collapse:collapse;margin:.5rem 0 1.5rem}
th,td{text-align:left;padding:.2rem .8rem;border-bottom:1px solid #d5dae2}
td.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#b00020;font-weight:600}.good{color:#0a6b2d}
@media(prefers-color-scheme:dark){
body{background:#14181f;color:#dfe5ee}th,td{border-color:#333b47}.bad{color:#ff8a93}.good{color:#7fd49b}}
"""
SPEED = ("bundle", "backend", "numbers", "streams", "median, ms", "p95", "p99", "each, ms", "memory, MB")
ROOF = (
    "bundle",
    "streams",
    "arithmetic, ms",
    "weights, ms",
    "limit",
    "least, ms",
    "measured, ms",
    "of what is possible",
)
PARITY = ("bundle", "backend", "numbers", "case", "calls", "output", "worst", "mean", "drift", "scale", "agreement", "")
Row = Sequence[str]


def table(trials: Sequence[Trial]) -> Table:
    """One line for each."""
    shown = Table(box=SIMPLE, pad_edge=False)
    for title in ("bundle", "backend", "worst", "agrees", "ms", "MB"):
        shown.add_column(title, no_wrap=True)
    shown.add_column("came to")
    for each in trials:
        came_to = _came_to(each) if each.state == "ran" else each.state
        shown.add_row(each.bundle, f"{each.backend} {each.precision}", *_figures(each), came_to)
    return shown


def reasons(trials: Sequence[Trial]) -> list[str]:
    """Why something did not run, each once."""
    return list(dict.fromkeys(f"{each.backend}: {each.why}" for each in trials if each.why))


def _figures(trial: Trial) -> Row:
    alone = next((speed for speed in trial.speeds if speed.streams == 1), None)
    agreement = [d.agreement for parity in trial.parity for d in parity.differences if d.agreement is not None]
    return (
        _worst(trial),
        f"{min(agreement):.4f}" if agreement else "",
        f"{alone.median_ms:.2f}" if alone else "",
        f"{trial.engine_bytes / 1e6:.1f}" if trial.engine_bytes else "",
    )


def _worst(trial: Trial) -> str:
    differences = [d for parity in trial.parity for d in parity.differences]
    if not all(d.finite and math.isfinite(d.worst) for d in differences):
        return "not finite"
    return f"{max(d.worst for d in differences):.1e}" if differences else ""


def listing(entries: Sequence[Entry]) -> Table:
    """What is kept, and whether it can be used here."""
    shown = Table(box=SIMPLE, pad_edge=False)
    for title in ("bundle", "backend", "numbers", "MB", "s"):
        shown.add_column(title, no_wrap=True)
    shown.add_column("here")
    for manifest, why_not in entries:
        wanted = manifest.wanted
        numbers = (
            f"{wanted.precision}, {wanted.shapes}" if wanted.backend == MAKER and wanted.shapes else wanted.precision
        )
        figures = (f"{manifest.size / 1e6:.1f}", f"{manifest.took_s:.1f}")
        shown.add_row(wanted.label, wanted.backend, numbers, *figures, "refused" if why_not else "ready")
    return shown


def refusals(entries: Sequence[Entry]) -> list[str]:
    """Why an entry is not loaded here."""
    return [f"{each.wanted.label}, {each.wanted.backend}: {why}" for each, why in entries if why]


def as_json(trials: Sequence[Trial]) -> str:
    told = {
        "machine": machine(),
        "limits": LIMITS,
        "least_agreement": AGREES,
        "trials": [_told(each) for each in trials],
    }
    return json.dumps(told, indent=1, default=str) + "\n"


def as_html(trials: Sequence[Trial]) -> str:
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>export-engine</title><style>{STYLE}</style>",
        "<h1>export-engine</h1>",
        f"<p>{' · '.join(html.escape(f'{name} {value}') for name, value in machine().items())}</p>",
        "<h2>Backends</h2>",
        _html(
            ("bundle", "backend", "numbers", "came to"),
            ((t.bundle, t.backend, t.precision, _came_to(t)) for t in trials),
        ),
        f"<h2>Parity</h2><p>Limits, as a share of the largest value and of 1 at least: {_pairs(LIMITS)}; least "
        f"agreement (r of the lips' opening, SSIM of pictures): {_pairs(AGREES)}.</p>",
        _html(PARITY, _parity_rows(trials)),
        "<h2>Speed</h2>",
        _html(SPEED, _speed_rows(trials)),
        *_roofs(trials),
        *_settings(trials),
        *_layers(trials),
    ]
    return "\n".join(parts) + "\n"


def machine() -> dict[str, str]:
    card = gpu.found()
    shown = "none" if card is None else f"{card.name}, compute capability {card.capability}, driver {card.driver}"
    return {"system": platform.platform(), "processor": platform.machine(), "GPU": shown}


def _came_to(trial: Trial) -> str:
    wide = f", {len(trial.kept)} layers in fp32" if trial.kept else ""
    if trial.state == "ran":
        return f"agrees{wide}" if trial.passed else f"differs too much{wide}"
    return f"{trial.state}: {trial.why}"


def _told(trial: Trial) -> dict[str, Any]:
    told = asdict(trial)
    told["passed"] = trial.passed
    return told


def _parity_rows(trials: Iterable[Trial]) -> Iterable[Row]:
    for t in trials:
        for p in t.parity:
            for d in p.differences:
                agreement = "" if d.agreement is None else f"{d.agreement:.5f}"
                figures = (f"{d.worst:.2e}", f"{d.mean:.2e}", f"{d.drift:.2e}", f"{d.scale:.3g}", agreement)
                passed = "passed" if d.within(p.precision) else "failed"
                yield (t.bundle, t.backend, t.precision, p.case, str(p.calls), d.output, *figures, passed)


def _speed_rows(trials: Iterable[Trial]) -> Iterable[Row]:
    for t in trials:
        for s in t.speeds:
            times = (s.median_ms, s.p95_ms, s.p99_ms, s.each_ms)
            figures = (*(f"{value:.3f}" for value in times), f"{s.memory_mb:.0f}")
            yield (t.bundle, t.backend, t.precision, str(s.streams), *figures)


def _roofs(trials: Sequence[Trial]) -> list[str]:
    rows = [
        (t.bundle, str(r.streams), f"{r.arithmetic_ms:.3f}", f"{r.memory_ms:.3f}", r.limit, f"{r.least_ms:.3f}",
         f"{s.median_ms:.3f}", f"{r.least_ms / s.median_ms:.2f}")
        for t in trials for r in t.roofs for s in t.speeds if s.streams == r.streams
    ]  # fmt: skip
    why = "On the processor, float32: arithmetic as in large products, the weights read once for all streams."
    return ["<h2>Roofline</h2>", f"<p>{why}</p>", _html(ROOF, rows)] if rows else []


def _settings(trials: Sequence[Trial]) -> list[str]:
    rows = [
        (t.bundle, str(s.threads), str(s.spinning), str(s.arena), f"{v.median_ms:.3f}", f"{v.p95_ms:.3f}",
         "taken" if s == t.settings else "")
        for t in trials for s, v in t.by_settings
    ]  # fmt: skip
    columns = ("bundle", "threads", "spinning", "arena", "median, ms", "p95, ms", "")
    return ["<h2>Settings of ONNX Runtime on the processor</h2>", _html(columns, rows)] if rows else []


def _layers(trials: Sequence[Trial]) -> list[str]:
    rows = [(t.bundle, t.backend, name) for t in trials for name in t.kept]
    return ["<h2>Layers that stayed float32</h2>", _html(("bundle", "backend", "layer"), rows)] if rows else []


def _html(columns: Row, rows: Iterable[Row]) -> str:
    head = "".join(f"<th>{html.escape(each)}" for each in columns)
    return f"<table><tr>{head}{''.join(f'<tr>{_cells(row)}' for row in rows)}</table>"


def _cells(row: Row) -> str:
    marks = {"passed": " class=good", "agrees": " class=good", "failed": " class=bad", "differs too much": " class=bad"}
    return "".join(
        f"<td{marks.get(cell) or (' class=n' if _is_number(cell) else '')}>{html.escape(cell)}" for cell in row
    )


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _pairs(values: dict[Any, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in values.items())
