"""A fleet on a Ray cluster of two nodes: people are placed, moved by a drain, and come back where a node goes.

The nodes are processes of their own (``ray.cluster_utils``), the visitors real peers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from web_peers import HEADERS, ROOMY_MS, FaceTrack, VoiceTrack

from benchmarks.returning import Page
from benchmarks.room_peers import Person
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.fleet.config import FleetConfig
from realtime_dub.web.fleet.host import LEASES
from realtime_dub.web.upkeep import until

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(420)]
BACK_S = 5.0
SLACK_S = 10.0  # a machine that others use, too
STORE_BYTES = 80 * 2**20


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    small = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        made.second = made.add_node(**small)
        yield made
    finally:
        made.shutdown()


def test_people_are_placed_moved_and_back(nodes: Any, tmp_path: Path) -> None:
    from realtime_dub.web.fleet import cluster

    serve = ServeConfig(port=0, badge="off", fps=15, max_sessions=2, credentials="off")
    config = FleetConfig(
        serve=serve,
        secret=cluster.new_secret(),
        folder=tmp_path,
        workers=2,
        cpus_per_worker=0.5,
        worker_ports="7450-7499",
    )
    with cluster.connected(nodes.address):
        (url,) = cluster.up(config)
        try:
            wait_until(lambda: sum("load" in each for each in cluster.status()) == 2)
            asyncio.run(visit(url.rstrip("/"), nodes, tmp_path))
        finally:
            assert cluster.down() == 3


async def visit(url: str, nodes: Any, folder: Path) -> None:
    from realtime_dub.web.fleet import cluster

    async with ClientSession() as http:
        first, second = Page(url, visitor), Page(url, visitor)
        try:
            await wait_for_ready(http, url)
            await first.open(budget_ms=ROOMY_MS, room="one")
            await until_so(lambda: first.live, 30)
            await second.open(budget_ms=ROOMY_MS, room="two")
            await until_so(lambda: second.live, 30)
            assert {first.worker, second.worker} == {0, 1}
            await until_kept(folder / LEASES, 2)

            where = {each["name"]: each["node_id"] for each in await told(cluster) if "node_id" in each}
            head = nodes.head_node.node_id
            gone = first if where[f"worker-{first.worker}"] != head else second
            stays = second if gone is first else first
            assert where[f"worker-{stays.worker}"] == head

            drained = await asyncio.to_thread(cluster.drain, head)
            assert drained == [f"worker-{stays.worker}"]
            await until_so(lambda: stays.worker == gone.worker and stays.live, 40)
            assert stays.back_s[-1] < BACK_S + SLACK_S
            assert gone.back_s == []
            await asyncio.to_thread(cluster.drain, head, False)

            killed_s = time.monotonic()
            await asyncio.to_thread(nodes.remove_node, nodes.second, False)
            for each in (gone, stays):
                await until_so(lambda each=each: len(each.back_s) > (each is stays) and each.live, 40)
                assert each.worker == int(drained[0].partition("-")[2])
            print(f"drain {stays.back_s[0]:.1f} s; node gone {gone.back_s[-1]:.1f}, {stays.back_s[-1]:.1f} s")
            print(f"both live {time.monotonic() - killed_s:.1f} s after the end of their node was asked for")
            async with http.get(f"{url}/api/sessions/{gone.id}/bank", headers=HEADERS) as answer:
                assert answer.status == 200
        finally:
            for each in (first, second):
                await each.close()


def visitor(url: str) -> Person:
    return Person(url, (FaceTrack(240, 15), VoiceTrack()))


async def until_so(so: Callable[[], bool], seconds: float) -> None:
    assert await until(so, seconds)


async def until_kept(folder: Path, count: int) -> None:
    """So many leases lie there."""
    ends_s = time.monotonic() + 30
    while len(await asyncio.to_thread(lambda: [each for each in folder.iterdir() if each.suffix == ""])) < count:
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.5)


async def told(cluster: Any) -> list[dict[str, Any]]:
    return list(await asyncio.to_thread(cluster.status))


async def wait_for_ready(http: ClientSession, url: str) -> None:
    ends_s = time.monotonic() + 60
    while True:
        async with http.get(url + "/readyz") as answer:
            if answer.status == 200:
                return
            assert time.monotonic() < ends_s, await answer.text()
        await asyncio.sleep(0.2)


def wait_until(so: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + 120
    while not so():
        assert time.monotonic() < ends_s
        time.sleep(0.5)
