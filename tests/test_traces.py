"""Traces of a session, through a gateway and a worker (both real, in this process) and by OpenTelemetry's own SDK."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from patience import PATIENCE_S
from web_peers import ROOMY_MS, FaceTrack, VoiceTrack

from benchmarks.room_peers import Person
from realtime_dub.web import traces
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.fleet.config import FleetConfig
from realtime_dub.web.fleet.gateway import Gateway
from realtime_dub.web.fleet.host import Host
from realtime_dub.web.upkeep import until

STARTS_S, ENDS_S = 60.0, 10.0


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    kept, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    made = provider.get_tracer("test")
    monkeypatch.setattr(traces, "tracer", lambda: made)
    yield kept
    provider.shutdown()


@pytest.mark.slow
def test_a_session_is_one_trace_from_the_gateway_to_its_end(spans: InMemorySpanExporter, tmp_path: Path) -> None:
    serve = ServeConfig(port=0, badge="off", fps=15, credentials="off")
    config = FleetConfig(serve=serve, secret="s" * 20, folder=tmp_path, workers=1, worker_ports="7350-7399")
    worker = Host(config, 0, "127.0.0.1")
    address = worker.where(STARTS_S)
    gateway = Gateway(config, lambda number: address)
    try:
        asyncio.run(visit(gateway.where(STARTS_S)))
    finally:
        gateway.close(ENDS_S)
        worker.close(ENDS_S)
    found = {each.name: each for each in spans.get_finished_spans()}
    assert set(found) == {"placed", "session", "handshake", "first mouth"}
    placed, session = found["placed"], found["session"]
    assert {each.context.trace_id for each in found.values()} == {placed.context.trace_id}
    assert session.parent.span_id == placed.context.span_id
    for name in ("handshake", "first mouth"):
        assert found[name].parent.span_id == session.context.span_id
        assert found[name].attributes["session"] == session.attributes["session"]
    assert placed.attributes["worker"] == 0
    assert session.attributes["why"] == "server stops"
    order = [placed.start_time, session.start_time, found["handshake"].end_time, found["first mouth"].end_time]
    assert [*order, session.end_time] == sorted([*order, session.end_time])
    assert len(session.attributes["session"]) == traces.SHORT_ID  # nobody can end it by what is traced


async def visit(url: str) -> None:
    person = Person(url, (FaceTrack(240, 15), VoiceTrack()))
    try:
        async with asyncio.timeout(STARTS_S):
            while True:
                try:
                    await person.connect(budget_ms=ROOMY_MS)
                    break
                except RuntimeError:  # the worker is not heard of yet
                    await person.close()
                    person = Person(url, (FaceTrack(240, 15), VoiceTrack()))
                    await asyncio.sleep(0.5)
            assert await until(lambda: any(each["frames"].get("fresh") for each in person.got.stats), PATIENCE_S)
    finally:
        await person.close()


def test_nobody_asked_nothing_is_loaded() -> None:
    code = "import sys; from realtime_dub.web.traces import *; t = SessionTrace('0-abc', 'studio'); t.came(True); "
    code += "t.spoke(); t.ended('x'); print(tracer(), any(n.startswith('opentelemetry') for n in sys.modules))"
    assert said(code) == "None False"


def test_a_collector_without_the_library_is_told_in_a_line() -> None:
    code = "import sys; sys.modules['opentelemetry'] = None\nfrom realtime_dub.web.traces import tracer\n"
    code += "try: tracer()\nexcept Exception as error: print(type(error).__name__, error)"
    told = said(code, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:4318")
    assert told.startswith("DependencyError OTEL_EXPORTER_OTLP_ENDPOINT asks for traces")
    assert "pip install 'realtime-dub[otel]'" in told


def said(code: str, **environment: str) -> str:
    rest: dict[str, Any] = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    done = subprocess.run([sys.executable, "-c", code], env=rest | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
