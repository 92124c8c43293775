"""The counts of a session as its page shows them, twice a second."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from realtime_dub.web.rtc.traffic import Traffic
from realtime_dub.web.studio.advice import Advice
from realtime_dub.web.studio.room import Shown
from realtime_dub.web.studio.run import Run

STATS_S = 0.5
BLANK: dict[str, Any] = {
    **{"t": "stats", "fps": 0.0, "frames": {}, "av_offset_ms": 0.0, "budget_ms": 0, "enroll": None},
    **{"recording": False, "voice": None},
}


class SessionStatistics:
    """Turns what its parts have counted into what has happened since the last time."""

    def __init__(self) -> None:
        self._traffic = Traffic()
        self._advice = Advice()

    def reconnected(self) -> None:
        """Another connection, whose counts begin anew."""
        self._traffic.restart()

    def taken_over(self) -> None:
        """Another run is on air, whose counts begin anew."""
        self._advice.restart()

    @property
    def packets_lost(self) -> dict[str, int]:
        """So far, by kind of media."""
        return self._traffic.lost

    def of_run(self, run: Run | None, voice: str) -> dict[str, Any]:
        """``voice`` is the session's choice."""
        if run is None:
            return {"latency_ms": {"p50": 0, "p95": 0}}
        report = run.recorder.report()
        shares = self._advice.update(report.frames, time.monotonic())
        return {
            "frames": report.frames,
            "budget_ms": report.budget_ms,
            "silence": report.silence,
            "own_voice": asdict(report.own_voice),
            "latency_ms": {name: report.latency_ms[name] for name in ("p50", "p95")},
            "av_offset_ms": report.av_offset_ms["mean"],
            **self._advice.to_dict(shares, report.budget_ms, voice),
        }

    def of_output(self, shown: Shown | None) -> dict[str, Any]:
        """What the page shows, if it shows anything."""
        if shown is None:
            return {}
        name = f"pictures {id(shown.video)}"  # each timeline counts its own
        return {"fps": self._traffic.per_second(name, shown.video.sent, time.monotonic())}

    def of_connection(self, found: list[Any] | None) -> dict[str, Any]:
        """Of aiortc's statistics."""
        return {} if found is None else self._traffic.seen(found, time.monotonic())
