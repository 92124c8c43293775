"""A few hundred of the broken specs, networks and banks that ``python -m benchmarks.mutations`` tries."""

from __future__ import annotations

import io
import random
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.broken import broken_archive, broken_bytes, broken_json
from benchmarks.mutations import run_all
from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER
from realtime_dub.inference.bundle import load_default
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.render import Renderer
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes

COUNT = 150


def outcomes(attempt: Callable[[random.Random], None], count: int = COUNT) -> Counter[str]:
    """Anything but a good run and one line is raised here."""
    found: Counter[str] = Counter()
    for seed in range(count):
        try:
            attempt(random.Random(seed))
            found["ran"] += 1
        except BundleError as error:
            assert "\n" not in str(error)  # noqa: PT017
            found["refused"] += 1
    return found


def test_broken_specs(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(load_default("mouthbank").folder, tmp_path / "bundle"))
    whole = (folder / "spec.json").read_bytes()

    def attempt(dice: random.Random) -> None:
        (folder / "spec.json").write_bytes(broken_json(whole, dice))
        MouthbankGenerator(bundle=folder).hear(np.zeros(1_600, np.float32), 0)

    found = outcomes(attempt)
    assert found["refused"] > COUNT / 2
    assert found["ran"] > 0


def test_broken_networks() -> None:
    """In processes that are watched for their time and memory."""
    found = run_all("graph", 12, 1, 0)
    assert found["refused"] + found["ran"] == 12, found


def test_broken_banks(tmp_path: Path) -> None:
    tracked, path, bank = tracked_portrait(), tmp_path / "me.bank", Bank()
    bank.observe(tracked)
    bank.save(path)
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    moved = np.full((len(LOWER), 3), 0.05, np.float32)

    def attempt(dice: random.Random) -> None:
        path.write_bytes(
            broken_archive(members, dice) if dice.random() < 0.9 else broken_bytes(path.read_bytes(), dice)
        )
        Renderer(Bank.load(path)).render(tracked, moved, 1.0, 0)

    found = outcomes(attempt)
    assert found["refused"] > COUNT / 2
    assert found["ran"] > 0
