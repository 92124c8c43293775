"""Threads that work on large frames come after those of others."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
import pytest
from av import VideoFrame

from realtime_dub.web.rtc import priority
from realtime_dub.web.rtc.encoders import RangedVp8
from realtime_dub.web.rtc.priority import give_way, share_of, steps_for

linux = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere threads have no niceness of their own")


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


@pytest.mark.parametrize(
    ("width", "height", "steps"),
    [
        (0, 0, 0),
        (320, 240, 0),
        (640, 480, 0),
        (1280, 720, 4),
        (1920, 1080, 5),
        (4096, 2160, 5),
        (100_000, 100_000, 5),
    ],
)
def test_the_larger_the_later(width: int, height: int, steps: int) -> None:
    assert steps_for(width * height) == steps


@linux
def test_a_thread_gives_way_and_so_do_those_it_starts_and_no_others() -> None:
    def work() -> list[int]:
        found = [niceness()]
        give_way(12)
        found.append(niceness())
        with ThreadPoolExecutor(1) as child:
            found.append(child.submit(niceness).result())
        give_way(3)  # never back
        return [*found, niceness()]

    before = niceness()
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == [before, 12, 12, 12]
    assert niceness() == before


@linux
@pytest.mark.parametrize(("width", "height", "steps"), [(320, 240, 0), (1280, 720, 4)])
def test_an_encoder_of_large_frames_works_apart(
    width: int, height: int, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    encode = RangedVp8.__mro__[3].encode
    monkeypatch.setattr(RangedVp8.__mro__[3], "encode", lambda *parts: (seen.append(niceness()), encode(*parts))[1])
    encoder = RangedVp8(500_000, 1_000_000)
    frame = VideoFrame.from_ndarray(np.zeros((height, width, 3), np.uint8), format="bgr24").reformat(format="yuv420p")
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    payloads, _ = encoder.encode(frame, True)
    assert payloads
    assert seen == [max(steps, niceness())]
    encoder.close()
    encoder.close()


def test_who_is_alone_has_the_machine_and_several_share_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(priority.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    whole, usual = 1280 * 720, 640 * 480
    assert [share_of(whole, people) for people in (0, 1, 2, 3, 9)] == [whole, whole, whole // 2, usual, usual]
    assert share_of(320 * 240, 5) == 320 * 240
    monkeypatch.setattr(priority.os, "sched_getaffinity", lambda _: set(range(16)), raising=False)
    assert share_of(whole, 4) == whole
