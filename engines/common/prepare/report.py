"""A page about a prepared data set: one file that asks nothing of any other, for any browser."""

from __future__ import annotations

import base64
from collections import Counter
from html import escape
from pathlib import Path

import numpy as np

from engines.common.dataset import PARTS
from engines.common.prepare.clip import track_path, write_whole
from engines.common.prepare.finish import Row, Summary
from engines.common.prepare.segments import FPS

PICTURES = 48
BINS_MS = np.arange(-205, 206, 10)
STYLE = """body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:.5rem 0}td,th{padding:.15rem .8rem .15rem 0;text-align:left;vertical-align:top}
th{border-bottom:1px solid #999}td.n,th.n{text-align:right}figure{display:inline-block;margin:.3rem;width:96px}
figcaption{font-size:11px;overflow-wrap:anywhere}svg{display:block}rect{fill:#4477aa}text{font-size:11px;fill:#444}"""


def write_report(out: Path, summary: Summary, title: str) -> Path:
    """Write ``out/report.html``; returns its path."""
    body = [
        f"<h1>{escape(title)}</h1>",
        *(f"<p>{escape(note)}.</p>" for note in summary.notes),
        _parts(summary),
        _offsets(summary),
        _speakers(summary),
        _pictures(out, summary.kept()),
        _listing("Dropped tracks", [(row.track, row.dropped) for row in summary.rows if row.dropped]),
        _listing("Files that could not be used", summary.bad),
    ]
    head = (
        '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    page = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(body)}</body></html>\n'
    path = out / "report.html"
    write_whole(path, page.encode())
    return path


def _table(head: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    def cells(values: tuple[object, ...], tag: str) -> str:
        numeric = ["" if isinstance(value, str) and index == 0 else ' class="n"' for index, value in enumerate(values)]
        return "".join(f"<{tag}{n}>{escape(str(v))}</{tag}>" for v, n in zip(values, numeric, strict=True))

    lines = "".join(f"<tr>{cells(row, 'td')}</tr>" for row in rows)
    return f"<table><tr>{cells(head, 'th')}</tr>{lines}</table>"


def _parts(summary: Summary) -> str:
    rows: list[tuple[object, ...]] = []
    for part in PARTS:
        kept = summary.kept(part)
        rows.append((part, len(kept), len({row.speaker for row in kept}), _hours(kept), _speech(kept)))
    dropped = [row for row in summary.rows if row.dropped]
    rows.append(("dropped", len(dropped), len({row.speaker for row in dropped}), _hours(dropped), ""))
    return "<h2>Parts</h2>" + _table(("part", "tracks", "speakers", "hours", "of it speech"), rows)


def _hours(rows: list[Row]) -> str:
    return f"{sum(row.frames for row in rows) / FPS / 3600:.3f}"


def _speech(rows: list[Row]) -> str:
    frames = sum(row.frames for row in rows)
    return f"{sum(row.speech_share * row.frames for row in rows) / frames:.0%}" if frames else ""


def _offsets(summary: Summary) -> str:
    judged = [row for row in summary.rows if row.confidence is not None]
    if not judged:
        return ""
    values = np.array([row.offset_ms for row in judged])
    sure = np.array([row.confidence for row in judged], float)
    text = (
        f"<p>Common to all: {summary.common_ms:.0f} ms. Median {np.median(values):.0f} ms, from the 5th to the 95th "
        f"percentile {np.quantile(values, 0.05):.0f} to {np.quantile(values, 0.95):.0f} ms; taken out of every track. "
        "Above zero the sound came late. Confidence is the share of wrong pairings of sound and picture that fit "
        "less well.</p>"
    )
    return (
        "<h2>Offset of sound against picture</h2>"
        + text
        + _histogram(np.clip(values, BINS_MS[0], BINS_MS[-1]), BINS_MS, "ms")
        + "<h2>Confidence</h2>"
        + _histogram(sure, np.linspace(0, 1, 21), "")
    )


def _histogram(values: np.ndarray, edges: np.ndarray, unit: str) -> str:
    counts, _ = np.histogram(values, edges)
    width, height, step = 640, 140, 640 / len(counts)
    bars = []
    for index, count in enumerate(counts):
        tall = height * count / max(1, counts.max())
        about = f"{edges[index]:g} to {edges[index + 1]:g} {unit}: {count}"
        bars.append(
            f'<rect x="{index * step:.1f}" y="{height - tall:.1f}" width="{step - 1:.1f}" height="{tall:.1f}">'
            f"<title>{about}</title></rect>"
        )
    places = [0, len(counts) // 2, len(counts)]
    anchors = ("start", "middle", "end")
    labels = "".join(
        f'<text x="{place * step:.0f}" y="{height + 14}" text-anchor="{anchor}">{edges[place]:g} {unit}</text>'
        for place, anchor in zip(places, anchors, strict=True)
    )
    return f'<svg width="{width}" height="{height + 20}" role="img">{"".join(bars)}{labels}</svg>'


def _speakers(summary: Summary) -> str:
    frames: Counter[str] = Counter()
    for row in summary.kept():
        frames[str(row.speaker)] += row.frames
    parts = {str(row.speaker): row.part for row in summary.kept()}
    shared = len({row.part for row in summary.kept()}) > 1 and len(frames) < 3
    rows: list[tuple[object, ...]] = [
        (name, f"{count / FPS / 60:.1f}", "all" if shared else parts[name]) for name, count in sorted(frames.items())
    ]
    how = "As the layout names them." if summary.labelled else "Some or all grouped by face and voice."
    return f"<h2>Speakers</h2><p>{how}</p>" + _table(("speaker", "minutes", "part"), rows)


def _pictures(out: Path, rows: list[Row]) -> str:
    chosen = [rows[index] for index in np.unique(np.linspace(0, len(rows) - 1, min(PICTURES, len(rows))).astype(int))]
    figures = []
    for row in chosen:
        with np.load(track_path(out, row.track), allow_pickle=False) as stored:
            data = base64.b64encode(stored["thumb"].tobytes()).decode()
        caption = f"{escape(row.track)}<br>{escape(str(row.speaker))}, {row.offset_ms:+.0f} ms"
        figures.append(
            f'<figure><img alt="" width="96" height="96" src="data:image/jpeg;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>"
        )
    return f"<h2>Pictures</h2>{''.join(figures)}"


def _listing(title: str, rows: list[tuple[str, str]]) -> str:
    if not rows:
        return f"<h2>{title}</h2><p>None.</p>"
    lines = "".join(f"<tr><td>{escape(name)}</td><td>{escape(why)}</td></tr>" for name, why in rows)
    return f"<h2>{title}</h2><table><tr><th>which</th><th>why</th></tr>{lines}</table>"
