"""Engines on disk: whole or not at all, refused where they were not built for this machine, built by one process."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from patience import PATIENCE_S

from realtime_dub.inference import choice, gpu, libraries
from realtime_dub.inference.choice import Choice
from realtime_dub.inference.contract import CpuSettings
from realtime_dub.inference.engine_cache import MANIFEST, EngineCache, Surroundings, Wanted, surroundings

WANTED = Wanted(network="a" * 64, label="net 1", backend="tensorrt", shapes="mel:1x1x80..1x16x80")
HERE = Surroundings(gpu="A card", capability="8.9", driver="580.1", libraries={"tensorrt-cu13": "11.4"})


def write(folder: Path) -> None:
    (folder / "network.engine").write_bytes(b"engine" * 1000)


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "engines")


def test_an_engine_is_built_once(cache: EngineCache) -> None:
    told: list[tuple[str, float]] = []
    folder = cache.get(WANTED, HERE, write, lambda what, share: told.append((what, share)))
    assert (folder / "network.engine").read_bytes() == b"engine" * 1000
    assert told == [("building for tensorrt: it was not built yet", 0.0), ("built for tensorrt", 1.0)]
    assert cache.get(WANTED, HERE, pytest.fail) == folder
    assert [(entry.manifest.wanted, entry.why_not) for entry in cache.entries(lambda *_: HERE)] == [(WANTED, "")]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"gpu": "Another"}, "gpu A card, here Another"),
        ({"capability": "12.0"}, "capability 8.9, here 12.0"),
        ({"driver": "590.2"}, "driver 580.1, here 590.2"),
        ({"libraries": {"tensorrt-cu13": "11.5"}}, "tensorrt-cu13 11.4, here 11.5"),
        ({"libraries": {}}, "tensorrt-cu13 11.4, here none"),
    ],
)
def test_an_engine_from_elsewhere_is_refused_with_the_reason_and_built_anew(
    cache: EngineCache, changes: dict[str, object], reason: str
) -> None:
    cache.get(WANTED, HERE, write)
    elsewhere = HERE.model_copy(update=changes)
    found = cache.find(WANTED, elsewhere)
    assert found.folder is None
    assert found.why == f"it was built elsewhere: {reason}"
    again = cache.get(WANTED, elsewhere, lambda folder: (folder / "new").write_bytes(b"1") and None)
    assert sorted(path.name for path in again.iterdir()) == [MANIFEST, "new"]
    assert cache.find(WANTED, elsewhere).folder == again


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "network.engine").write_bytes(b"engine"),
        lambda folder: (folder / "network.engine").unlink(),
        lambda folder: (folder / MANIFEST).write_text("{"),
        lambda folder: (folder / MANIFEST).unlink(),
    ],
)
def test_a_damaged_engine_is_never_loaded(cache: EngineCache, damage: object) -> None:
    folder = cache.get(WANTED, HERE, write)
    damage(folder)  # type: ignore[operator]
    assert cache.find(WANTED, HERE).folder is None
    assert "damaged" in cache.find(WANTED, HERE).why
    assert cache.get(WANTED, HERE, write) == folder
    assert cache.find(WANTED, HERE).folder == folder


def test_each_network_backend_precision_and_size_has_an_entry_of_its_own() -> None:
    others = [{"network": "b" * 64}, {"backend": "cuda"}, {"precision": "fp16"}, {"shapes": "mel:1x1x80..1x8x80"}]
    names = {WANTED.model_copy(update=each).folder for each in others}
    assert len(names | {WANTED.folder}) == len(others) + 1


def test_nothing_is_left_of_a_build_that_fails(cache: EngineCache) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        cache.get(WANTED, HERE, fail)
    assert [path.name for path in cache.root.iterdir() if not path.name.startswith(".lock")] == []


def test_one_builds_and_the_others_wait_for_it(cache: EngineCache) -> None:
    built, folders, told = [], [], []

    def slowly(folder: Path) -> None:
        built.append(folder)
        time.sleep(0.3)
        write(folder)

    def ask() -> None:
        folders.append(cache.get(WANTED, HERE, slowly, lambda what, share: told.append(what)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(built) == 1
    assert len(set(folders)) == 1
    assert "another process builds it for tensorrt" in told


BUILDER = """
import sys, time
from pathlib import Path
from realtime_dub.inference.engine_cache import EngineCache, Surroundings, Wanted
wanted, here = Wanted.model_validate_json(sys.argv[2]), Surroundings(driver=sys.argv[3])
def make(folder):
    print("began", flush=True)
    for part in range(40):
        with (folder / f"part-{part}").open("wb") as file:
            file.write(bytes([part]) * 200_000)
        time.sleep(0.002)
EngineCache(Path(sys.argv[1])).get(wanted, here, make)
"""


def test_killed_at_ten_random_points_there_is_never_a_broken_engine(cache: EngineCache) -> None:
    """Some are killed while they write, some while the entry takes the place of the last one, some after."""
    draw, whole = random.Random(7), 0
    for driver in map(str, range(10)):
        command = [sys.executable, "-c", BUILDER, str(cache.root), WANTED.model_dump_json(), driver]
        builder = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert builder.stdout is not None
        with builder.stdout:
            assert builder.stdout.readline() == b"began\n"
            time.sleep(draw.uniform(0, 0.3))
            builder.kill()
        builder.wait()
        found = cache.find(WANTED, Surroundings(driver=driver))
        if found.folder is None:
            assert found.why == "it was not built yet" or found.why.startswith("it was built elsewhere")
        else:
            assert all((found.folder / f"part-{part}").stat().st_size == 200_000 for part in range(40))
            whole += 1
    assert whole < 10
    last = cache.get(WANTED, HERE, write)
    assert cache.find(WANTED, HERE).folder == last
    assert not [path for path in cache.root.iterdir() if path.name.startswith((".part", ".old"))]


def test_a_choice_counts_on_the_machine_where_it_was_made(tmp_path: Path) -> None:
    here = surroundings("cpu")
    assert here.libraries.keys() & {"onnxruntime", "onnxruntime-gpu"}
    made = Choice(label="net 1", backend="cpu", settings=CpuSettings(2, True, False), surroundings=here)
    choice.write("a" * 64, made, tmp_path)
    choice.write("b" * 64, made.model_copy(update={"surroundings": HERE}), tmp_path)
    assert choice.chosen("a" * 64, tmp_path) == made
    assert choice.chosen("b" * 64, tmp_path) is None
    assert choice.chosen("c" * 64, tmp_path) is None
    (tmp_path / choice.FILE).write_text("{")
    assert choice.choices(tmp_path) == {}


def test_choices_are_kept_beside_each_other_when_several_write(tmp_path: Path) -> None:
    made = Choice(label="net", backend="cpu")
    threads = [threading.Thread(target=choice.write, args=(f"{n:064}", made, tmp_path)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(json.loads((tmp_path / choice.FILE).read_text())) == 8


def test_the_cache_lies_where_the_system_wants_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert EngineCache().root == tmp_path / "realtime-dub" / "engines"
    assert not os.listdir(tmp_path)


def test_a_machine_without_a_driver_has_no_gpu() -> None:
    found = gpu.found()
    if found is None:
        assert surroundings("cpu").gpu == ""
    else:
        assert found.capability.replace(".", "").isdigit()


def test_what_is_missing_is_said_with_the_line_that_installs_it() -> None:
    assert libraries.missing("cpu") == ""
    assert set(libraries.NEEDS["tensorrt-rtx"].modules) == {"tensorrt_rtx"}
    assert all("pip install" in needs.install for needs in libraries.NEEDS.values())
