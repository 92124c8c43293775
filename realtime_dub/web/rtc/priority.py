"""Who sends large frames is made smaller first, and waits first: a visitor's neighbours keep their mouths.

A frame of 4K costs twenty times what one of 640x480 does. Who is alone has the whole machine; where several people are
dubbed, each has a share of what its cores can do. Decoders and encoders of large frames come a little after other
threads (Linux alone has a niceness for each). More than a little would cost all: who waits for a core may hold what the
interpreter lets one thread have at a time. Niceness is never taken back: that needs rights a server should not have.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading

from realtime_dub.web.limits import MOST_STEPS, PIXELS_PER_CORE, STEPS_PER_DOUBLING, USUAL_PIXELS

LEAST_EVEN = 2  # pixels of a side: 4:2:0 colour has half of it


def steps_for(pixels: int) -> int:
    """How many steps of niceness frames of so many pixels cost whoever sends them."""
    if pixels <= USUAL_PIXELS:
        return 0
    return min(MOST_STEPS, math.ceil(STEPS_PER_DOUBLING * math.log2(pixels / USUAL_PIXELS)))


def fitted(width: int, height: int, most_pixels: int) -> tuple[int, int]:
    """The size that a frame is given which has too many pixels: even, in its shape."""
    if width * height <= most_pixels:
        return width, height
    scale = math.sqrt(most_pixels / (width * height))
    return max(LEAST_EVEN, int(width * scale) & ~1), max(LEAST_EVEN, int(height * scale) & ~1)


def share_of(most: int, people: int) -> int:
    """Pixels of a frame for each of so many people who are dubbed, at most ``most``."""
    if people <= 1:
        return most
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(most, max(USUAL_PIXELS, PIXELS_PER_CORE * cores // people))


def give_way(steps: int) -> None:
    """This thread comes so much later than others, and so do those that it starts; not sooner than it did already."""
    if sys.platform != "linux" or steps <= 0:
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < steps:
            os.setpriority(os.PRIO_PROCESS, thread, steps)
