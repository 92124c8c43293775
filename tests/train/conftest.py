"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.common import no_voice
from realtime_dub.inference.bundle import Bundle, load_default, load_part


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """The nets are tiny: more threads wait for each other, on a busy machine for minutes."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def few_sounds() -> Iterator[None]:
    """One of each kind of sound that is no speech: a second and a half less for everything that draws batches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(no_voice, "EACH", 1)
        patch.setattr(no_voice, "NEXT_DOOR", 2)
        yield


@pytest.fixture(scope="module")
def motion() -> Bundle:
    return load_default("mouthbank")


@pytest.fixture(scope="module")
def mask() -> Bundle:
    return load_part("mouthbank", "occlusion")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is built is kept here."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path
