"""How many threads the libraries below may use."""

from __future__ import annotations

from contextlib import AbstractContextManager

import numpy  # noqa: F401  (its BLAS must be loaded to be limited)
from threadpoolctl import threadpool_limits


def one_blas_thread() -> AbstractContextManager[object]:
    """NumPy's BLAS on one thread while this is entered.

    The systems solved for a frame are small. OpenBLAS would split them all the same, and its second thread then spins
    between two frames: measured in the live loop, 0.65 of a core for nothing.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits
