"""An avatar in the making is killed, once in each part of the work, and goes on each time."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

pytest.importorskip("torch")

from avatars import long_film, recipe

from engines.avatar.cutting import PICTURES
from engines.avatar.stored import Stored
from engines.common.dataset import INDEX, Dataset
from realtime_dub.cli import run
from realtime_dub.inference.bundle import SPEC, load
from realtime_dub.mouth.avatar.folder import ABOUT, read_about

STARTS_S = 6.0  # in which a command has loaded what it needs
WITHIN_S = 900.0  # for any part, on a machine that others use


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_film(tmp_path_factory.mktemp("film") / "me.mkv")


def prepared(folder: Path) -> bool:
    return (folder / ABOUT).exists() and read_about(folder).prepared


# Each part of the work by what there is once it has begun, and how long after that it may be killed, seconds.
PARTS: dict[str, tuple[Callable[[Path], bool], float]] = {
    "landmarks": (lambda folder: (folder / ABOUT).exists(), 4.0),
    "pictures": (lambda folder: (folder / "data" / INDEX).exists(), 4.0),
    "motion": (lambda folder: prepared(folder) and (folder / "runs").exists(), 6.0),
    "picture": (lambda folder: (folder / "picture" / "checkpoint.safetensors").exists(), 2.0),
    "export": (lambda folder: (folder / "picture" / "net.safetensors").exists(), 0.3),
}


def command(film: Path, folder: Path, config: Path) -> list[str]:
    """As one types it: the same each time, with --resume from the second on."""
    begun = (folder / "config.json").exists()
    how = ["--resume"] if begun else ["--config", str(config)]
    module = [sys.executable, "-m", "engines.common.train_engine"]
    return [*module, "avatar", "--video", str(film), "-o", str(folder), *how]


def kill_in(part: str, start: list[str], folder: Path, rng: random.Random) -> bool:
    """Whether it was killed before it had come to its end."""
    begun, most_s = PARTS[part]
    with folder.with_name(f"{part}.log").open("w") as log:
        process = subprocess.Popen(start, start_new_session=True, stdout=log, stderr=subprocess.STDOUT)
    until = time.monotonic() + WITHIN_S
    most_s += STARTS_S if begun(folder) else 0.0
    while process.poll() is None and not begun(folder) and time.monotonic() < until:
        time.sleep(0.005)
    time.sleep(rng.uniform(0, most_s))
    alive = process.poll() is None
    if alive:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() in (0, -signal.SIGKILL), folder.with_name(f"{part}.log").read_text()
    return alive


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_in_each_part_it_goes_on(film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of it is what comes of work that nobody stopped: the same data to the bit, and a net that paints."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    seed = int(os.environ.get("AVATAR_SEED", "1"))
    folder = tmp_path / "me.avatar"
    config = recipe(tmp_path / "small.toml", steps=80, check_every=10, alone=60, motion=20)
    rng, killed = random.Random(seed), []
    for part in PARTS:
        killed.append((part, kill_in(part, command(film, folder, config), folder, rng)))
        print(killed[-1], flush=True)
    assert sum(alive for _, alive in killed) >= 4, killed
    out = tmp_path / "out.mp4"
    arguments = ["avatar", "--video", str(film), "--avatar", str(folder), "--mic", "demo", "--seconds", "1"]
    assert run([*arguments, "-o", str(out), "--quiet"]) == 0
    with av.open(str(out)) as container:
        assert len(list(container.decode(video=0))) == 25
    rows = [json.loads(line) for line in (folder / "picture" / "log.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if "pixels" in row]
    assert steps[-1] == 80
    assert any(row.get("resumed") for row in rows)
    assert all((folder / part / SPEC).is_file() for part in ("expression", "head", "picture"))
    drawing = np.zeros((1, 3, 64, 64), np.float32)
    assert load(folder / "picture").session().run({"drawing": drawing})["painted"].shape == (1, 4, 64, 64)
    whole = tmp_path / "whole.avatar"
    from engines.avatar.recording import of_film

    of_film(film, whole / "data")
    for entry in Dataset(whole / "data").entries:
        ours, theirs = (Stored(root / "data", PICTURES, entry.track) for root in (folder, whole))
        assert np.array_equal(ours.numbers, theirs.numbers)
        assert np.array_equal(ours.read(0), theirs.read(0))
    with np.load(folder / "person.npz") as mine, np.load(whole / "person.npz") as wanted:
        assert all(np.allclose(mine[name], wanted[name], atol=1e-5) for name in wanted)
