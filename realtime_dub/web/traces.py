"""Traces of a session's life by OpenTelemetry, where the environment names a collector; else none of it is loaded.

| span | from, to | where |
|---|---|---|
| placed | the offer, its answer | gateway or front |
| session | opened, ended (``why``) | worker; its parent is ``placed`` |
| handshake | opened, connected | worker |
| first mouth | connected, the first dubbed frame | worker |

A session is named as in the log: by its first characters, which let nobody end it.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

from realtime_dub.errors import DependencyError

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
HEADER = "traceparent"  # of W3C: what goes from a gateway to a worker
SHORT_ID = 6
PARENT: ContextVar[str] = ContextVar("parent", default="")  # that header's text, of the request that is answered


@functools.cache
def tracer() -> Any:
    """OpenTelemetry's; None where no collector is named. Raises DependencyError."""
    named = next((name for name in ENDPOINTS if os.environ.get(name)), None)
    if named is None or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        advice = "pip install 'realtime-dub[otel]', or leave that variable out"
        raise DependencyError(f"{named} asks for traces, which need", "OpenTelemetry", advice) from error
    provider = TracerProvider(resource=Resource.create({"service.name": "realtime-dub"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider.get_tracer("realtime_dub")


@contextlib.contextmanager
def placing() -> Iterator[dict[str, Any]]:
    """A gateway's part; what is put into it becomes attributes. Workers that are asked meanwhile go on from it."""
    said: dict[str, Any] = {}
    if (made := tracer()) is None:
        yield said
        return
    with made.start_as_current_span("placed") as span:
        carrier: dict[str, str] = {}
        _propagator().inject(carrier)
        token = PARENT.set(carrier[HEADER])
        try:
            yield said
        finally:
            PARENT.reset(token)
            span.set_attributes(said)


class SessionTrace:
    """A worker's part. On its loop. Nothing is done where no collector is named."""

    def __init__(self, id: str, role: str) -> None:
        self._made = tracer()
        self._step: Any = None
        if self._made is None:
            return
        number = id.partition("-")[0]
        self._said = {"session": id[:SHORT_ID], "role": role, **({"worker": int(number)} if number.isdecimal() else {})}
        parent = _propagator().extract({HEADER: PARENT.get()})
        self._span = self._made.start_span("session", parent, attributes=self._said)
        self._begin("handshake")

    @property
    def on(self) -> bool:
        return self._made is not None

    def came(self, dubbed: bool) -> None:
        """Connected. ``dubbed``: there will be mouths."""
        if self.on:
            self._step.end()
            self._step = None
            if dubbed:
                self._begin("first mouth")

    def spoke(self) -> None:
        """The first mouth was made."""
        if self._step is not None:
            self._step.end()
            self._step = None

    def ended(self, why: str) -> None:
        if not self.on:
            return
        if self._step is not None:  # it never came so far
            self._step.set_attribute("ended", why)
            self._step.end()
            self._step = None
        self._span.set_attribute("why", why)
        self._span.end()

    def _begin(self, name: str) -> None:
        from opentelemetry.trace import set_span_in_context

        self._step = self._made.start_span(name, set_span_in_context(self._span), attributes=self._said)


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()
