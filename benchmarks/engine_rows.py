"""The rows of the table of engines, and what was measured of each so far.

There is a row for every engine of the registry that can be made without being given anything, for every bundle that is
given, and for three that always belong there: the true motion drawn, a frozen mouth, and another clip's voice. What was
measured is kept in a folder, so that a run that was stopped goes on. A row
whose bundle is another one is measured anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np

from benchmarks.rendered import Setup
from benchmarks.rows import DRAWN, SHUFFLED
from engines.common.mouth_figures import Score
from realtime_dub.errors import UserError
from realtime_dub.inference.bundle import engine_of
from realtime_dub.media import Image
from realtime_dub.mouth import registry

FIGURES = "figures.json"
CURVES = ("truth", "test")


@dataclass(frozen=True)
class EngineRow:
    """``label``: the bundle, or what stands in its place."""

    name: str
    setup: Setup
    label: str = ""
    own_voice: bool = True

    @property
    def drawn(self) -> bool:
        """It is told the truth, and hears nothing."""
        return self.name in DRAWN

    @property
    def runs_live(self) -> bool:
        return self.own_voice and not self.drawn


def rows_of(bundles: Mapping[str, Path], only: Sequence[str] | None = None) -> tuple[list[EngineRow], dict[str, str]]:
    """The rows, and of engines without one, why they have none. ``only``: of the registry, these.

    Raises BundleError where one of ``bundles`` cannot be used.
    """
    found, left_out = [], {}
    for name in registry.names() if only is None else only:
        try:
            found.append(EngineRow(name, Setup(name), _label(name)))
        except UserError as error:
            left_out[name] = str(error)
    for name, folder in bundles.items():
        engine = engine_of(folder)
        found.append(EngineRow(name, Setup(engine, folder), _label(engine, folder)))
    drawn = [EngineRow(name, Setup(engine)) for name, engine in DRAWN.items()]
    shuffled = EngineRow(SHUFFLED, Setup(registry.DEFAULT), _label(registry.DEFAULT), own_voice=False)
    return [*found, *drawn, shuffled], left_out


def _label(engine: str, bundle: Path | None = None) -> str:
    generator = registry.create(engine, bundle=bundle)
    generator.close()
    return generator.bundle


@dataclass
class Kept:
    """What was measured so far, in ``folder``."""

    folder: Path
    labels: dict[str, str]  # by row
    cells: dict[str, dict[str, Score]] = field(default_factory=dict)  # by row, then by clip
    once: dict[str, dict[str, float]] = field(default_factory=dict)  # by row: what is measured of no clip

    @classmethod
    def read(cls, folder: Path, rows: Sequence[EngineRow]) -> Kept:
        """What still holds of these rows; what others have stays as it is."""
        path = folder / FIGURES
        told = json.loads(path.read_text()) if path.exists() else {"labels": {}, "cells": {}, "once": {}}
        found = cls(folder, told["labels"] | {row.name: row.label for row in rows})
        for name, label in found.labels.items():
            holds = told["labels"].get(name) == label
            cells = told["cells"].get(name, {}) if holds else {}
            found.cells[name] = {clip: _score(each) for clip, each in cells.items()}
            found.once[name] = told["once"].get(name, {}) if holds else {}
        return found

    def write(self) -> None:
        """Whole or not at all."""
        self.folder.mkdir(parents=True, exist_ok=True)
        cells = {row: {clip: _plain(each) for clip, each in found.items()} for row, found in self.cells.items()}
        part = self.folder / f"{FIGURES}.part"
        part.write_text(json.dumps({"labels": self.labels, "cells": cells, "once": self.once}) + "\n")
        part.replace(self.folder / FIGURES)

    def strip(self, row: str) -> Path:
        """Where a row's pictures are."""
        return self.folder / f"{quote(row, safe='')}.png"

    def add_strip(self, row: str, picture: Image) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(self.strip(row)), picture)


def _plain(score: Score) -> dict[str, Any]:
    curves = {name: np.asarray(getattr(score, name), float).tolist() for name in CURVES}
    return {"name": score.name, "speaker": score.speaker, **curves, "figures": score.figures}


def _score(told: dict[str, Any]) -> Score:
    truth, test = (np.array(told[name], np.float64) for name in CURVES)
    return Score(told["name"], told["speaker"], truth, test, told["figures"])
