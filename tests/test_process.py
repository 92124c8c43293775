"""What a run asks of the whole process, and gives back."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from realtime_dub.pipeline.process import large_pages, one_thread_each

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


def large_pages_kb() -> int:
    """Of this process's memory."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("AnonHugePages")).split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="the system is asked in Linux's way")
def test_what_is_loaded_comes_into_large_pages_and_stays_what_it_is() -> None:
    loaded = np.random.default_rng(0).integers(0, 256, 48 << 20, np.uint8)
    of_it = loaded.sum()
    large_pages()
    assert loaded.sum() == of_it
    if system_gives_them():
        assert large_pages_kb() >= 40 << 10
    large_pages()  # nothing is left to be done
    assert loaded.sum() == of_it


def system_gives_them() -> bool:
    release = tuple(int("".join(filter(str.isdigit, part))) for part in platform.release().split(".")[:2])
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return release >= (6, 1) and setting.exists() and "[never]" not in setting.read_text()
