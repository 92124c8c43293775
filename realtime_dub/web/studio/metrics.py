"""What ``/metrics`` tells Prometheus. A registry per server: two in one process do not meet."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Protocol, get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from realtime_dub import losses
from realtime_dub.mouth.silence import SilenceShows
from realtime_dub.pipeline.measures import rss_mb
from realtime_dub.web.studio.run import Run

KINDS = (
    *("total", "fresh", "reused", "passthrough", "lagged", "skipped"),
    *("starved", "slow", "faceless", "implausible", "rested", "yielded"),
)


class Measured(Protocol):
    @property
    def present_run(self) -> Run | None:
        """Whose counts are told."""


class Metrics:
    """Counts of the server, and of its present sessions taken together: no label names a person."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.opened = self._counter("sessions_opened", "Sessions opened", "role")
        self.refused = self._counter("refused", "Requests refused", "why")
        self.dropped = self._counter("dropped", "What visitors sent that was too much or could not be read", "kind")
        self.sessions = self._gauge("sessions", "Sessions open")
        self.frames = Gauge("realtime_dub_frames", "Ticks of the open sessions", ["kind"], registry=self.registry)
        self.losses = Gauge("realtime_dub_losses", "What the open sessions have lost", ["kind"], registry=self.registry)
        self.silence = Gauge("realtime_dub_silence", "Open sessions by what is shown while the voice is silent",
                             ["shows"], registry=self.registry)  # fmt: skip
        self.latency = Gauge("realtime_dub_latency_ms", "Worst capture to hand-over of the open sessions",
                             ["quantile"], registry=self.registry)  # fmt: skip
        self.rss = self._gauge("resident_megabytes", "Memory of the process")
        self.tasks = self._gauge("tasks", "Tasks on the server's event loop")
        self.threads = self._gauge("threads", "Threads of the process, without the pool of the event loop")

    def update(self, sessions: Iterable[Measured]) -> None:
        """Take the present values. On the server's loop."""
        runs = [session.present_run for session in sessions]
        reports = [run.recorder.report() for run in runs if run is not None]
        self.sessions.set(len(runs))
        for kind in KINDS:
            self.frames.labels(kind).set(sum(report.frames.get(kind, 0) for report in reports))
        for kind in losses.KINDS:
            self.losses.labels(kind).set(sum(report.losses[kind] for report in reports))
        for shows in get_args(SilenceShows):
            self.silence.labels(shows).set(sum(report.silence == shows for report in reports))
        for quantile in ("p50", "p95"):
            self.latency.labels(quantile).set(max((report.latency_ms[quantile] for report in reports), default=0))
        self.rss.set(rss_mb())
        self.tasks.set(len(asyncio.all_tasks()))
        self.threads.set(sum(not each.name.startswith("asyncio_") for each in threading.enumerate()))

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, what: str, label: str) -> Counter:
        return Counter(f"realtime_dub_{name}", what, [label], registry=self.registry)

    def _gauge(self, name: str, what: str) -> Gauge:
        return Gauge(f"realtime_dub_{name}", what, registry=self.registry)
