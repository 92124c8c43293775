"""What a run asks of the whole process, and gives back."""

from __future__ import annotations

import cv2
import pytest
from threadpoolctl import threadpool_info

from realtime_dub.pipeline.process import one_thread_each

pytestmark = pytest.mark.computes


def threads() -> tuple[int, list[int]]:
    """Of OpenCV, and of each BLAS."""
    return cv2.getNumThreads(), [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]


def test_libraries_keep_to_the_thread_that_calls_them_and_have_theirs_back_whatever_happens() -> None:
    before = threads()
    within = []

    def fails() -> None:
        with one_thread_each():
            within.append(threads())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert within == [(1, [1] * len(before[1]))]
    assert threads() == before
