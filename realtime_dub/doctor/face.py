"""How fast faces are tracked here, and what a camera is asked for because of that."""

from __future__ import annotations

import time
from functools import partial

from realtime_dub.finding import Finding
from realtime_dub.imports import resolve
from realtime_dub.mouth import registry

SPEED_TEST_S = 2.0
FRAME_MS = 40.0  # 25 pictures a second


def speed() -> Finding:
    """The face tracker on the built-in picture for SPEED_TEST_S."""
    tracker = resolve("realtime_dub.face.tracker:MediaPipeTracker")("largest")
    source = resolve("realtime_dub.sources.demo:DemoSource")()
    source.open()
    took: list[float] = []
    try:
        tracker.track(source.read())  # the first call loads the model
        end = time.perf_counter() + SPEED_TEST_S
        while (began := time.perf_counter()) < end:
            tracker.track(source.read())
            took.append(1000 * (time.perf_counter() - began))
    finally:
        tracker.close()
        source.close()
    worst = sorted(took)[int(0.95 * len(took))]
    detail = f"{sum(took) / len(took):.1f} ms a frame, 95 % within {worst:.1f} ms"
    if worst < FRAME_MS / 2:
        return Finding("face tracker", "ok", detail)
    return Finding("face tracker", "warn", detail, "close other programs, or use --fps 15 and a smaller picture")


def camera_size() -> Finding:
    """What ``--size auto`` comes to here: measured anew, and kept for live runs."""
    from realtime_dub.config import LiveConfig, build
    from realtime_dub.pipeline.camera import choose
    from realtime_dub.pipeline.camera_kept import kept_for

    mode = choose(partial(registry.create, registry.DEFAULT), kept=kept_for(build(LiveConfig)), anew=True)
    return Finding("camera size", "ok", f"{mode}: {mode.why}")
