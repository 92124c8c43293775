"""What the tests of training share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from engines.common import no_voice


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
