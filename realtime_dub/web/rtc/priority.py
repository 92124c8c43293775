"""Who sends large frames waits first: on a busy machine a visitor's neighbours keep their mouths.

A frame of 4K costs twenty times what one of 640x480 does, to decode, to make smaller and to encode. Where there are
cores enough that hurts nobody; where there are not, its threads come after those of others (Linux alone has a niceness
for each thread). A thread's niceness is never taken back: that needs rights which a server should not have.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading

from realtime_dub.web.limits import MOST_STEPS, STEPS_PER_DOUBLING, USUAL_PIXELS


def steps_for(pixels: int) -> int:
    """How many steps of niceness frames of so many pixels cost whoever sends them."""
    if pixels <= USUAL_PIXELS:
        return 0
    return min(MOST_STEPS, math.ceil(STEPS_PER_DOUBLING * math.log2(pixels / USUAL_PIXELS)))


def give_way(steps: int) -> None:
    """This thread comes so much later than others, and so do those that it starts; not sooner than it did already."""
    if sys.platform != "linux" or steps <= 0:
        return
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        if os.getpriority(os.PRIO_PROCESS, thread) < steps:
            os.setpriority(os.PRIO_PROCESS, thread, steps)
