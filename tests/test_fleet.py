"""A fleet on a Ray cluster of two nodes: people are placed, moved by a drain, and come back where a node goes.

The nodes are processes of their own (``ray.cluster_utils``), the visitors real peers; the commands are those of the
command line.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
import test_redis
from aiohttp import ClientSession
from patience import PATIENCE_S
from ray.cluster_utils import Cluster
from web_peers import HEADERS, ROOMY_MS, FaceTrack, VoiceTrack

from benchmarks.returning import Page
from benchmarks.room_peers import Person
from realtime_dub.cli import run
from realtime_dub.web.fleet import cluster
from realtime_dub.web.fleet.host import LEASES
from realtime_dub.web.upkeep import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]
BACK_S = 5.0
SLACK_S = 10.0  # a machine that others use, too
STORE_BYTES = 80 * 2**20
PROGRAM = (sys.executable, "-c", "from realtime_dub.cli import main; main()")
SERVE = ("--host", "127.0.0.1", "--badge", "off", "--fps", "15", "--quiet")
ROOM = ("--cpus-per-worker", "0.5", "--worker-ports", "7450-7499")
Fleet = Callable[..., str]  # a command, in words: what it says where it succeeds, or that it failed with code 2


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    small = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
    try:
        made.second = made.add_node(**small)
        yield made
    finally:
        made.shutdown()


@pytest.fixture
def fleet(nodes: Any, capsys: pytest.CaptureFixture[str]) -> Fleet:
    def call(command: str, *arguments: str) -> str:
        capsys.readouterr()
        code = run(["fleet", command, *arguments, "--address", nodes.address])
        said = capsys.readouterr()
        lines = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert (code, len(lines)) in ((0, 0), (2, 1)), said.err
        return lines[0] if code else said.out

    return call


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[test_redis.Redis]:
    if test_redis.SERVER is None:
        pytest.skip("redis-server is not installed")
    started = test_redis.Redis(tmp_path)
    yield started
    started.stop()


@pytest.mark.long
def test_banks_go_over_by_way_of_redis(nodes: Any, fleet: Fleet, tmp_path: Path, redis: test_redis.Redis) -> None:
    """Nothing of anybody's face lies in the folder."""
    url = fleet("up", *SERVE, "--folder", str(tmp_path), *ROOM, "--port", "0", "--redis", redis.url).strip()
    wait_until(lambda: fleet("status").count("0/2 dubbed") == 2)
    with cluster.connected(nodes.address):
        asyncio.run(visit(url.rstrip("/"), nodes, redis.count))
    assert not any((tmp_path / LEASES).glob("*"))
    assert fleet("down") == "3 ended\n"


def test_people_are_placed_moved_and_back(nodes: Any, fleet: Fleet, tmp_path: Path) -> None:
    serve, room = SERVE, ("--folder", str(tmp_path), *ROOM)
    assert "No fleet is up" in fleet("status")
    assert "4 gateways on 2 nodes" in fleet("up", *serve, *room, "--gateways", "4")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 127.0.0.1:{port}" in fleet("up", *serve, *room, "--workers", "1", "--port", port)
    assert "No fleet is up" in fleet("status")  # nothing of what failed is left
    url = fleet("up", *serve, *room, "--port", "0").strip()
    wait_until(lambda: fleet("status").count("0/2 dubbed") == 2)
    assert "nice 15" not in fleet("status")  # which is Ray's own choice
    assert "there is one in this cluster" in fleet("up", *serve, *room)
    assert "10.9.8.7: no worker is there" in fleet("drain", "10.9.8.7")
    with cluster.connected(nodes.address):
        asyncio.run(visit(url.rstrip("/"), nodes, lambda: len(list((tmp_path / LEASES).glob("[!.]*")))))
    assert fleet("down") == "3 ended\n"


def test_a_cluster_that_is_not_there_or_of_another_version(
    nodes: Any, fleet: Fleet, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray, "__version__", "2.0.0")
    said = fleet("status")
    assert "Ray: 2.0.0" in said
    assert "install one version on all nodes" in said
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"127.0.0.1:{taken.getsockname()[1]}"
    assert run(["fleet", "down", "--address", nobody]) == 2
    assert f"cannot reach a Ray cluster {nobody}" in capsys.readouterr().err


async def visit(url: str, nodes: Any, kept: Callable[[], int]) -> None:
    """``kept``: how many banks there are."""
    async with ClientSession() as http:
        first, second = Page(url, visitor), Page(url, visitor)
        try:
            await wait_for_ready(http, url)
            await first.open(budget_ms=ROOMY_MS, room="one")
            await until_so(lambda: first.live, PATIENCE_S)
            await second.open(budget_ms=ROOMY_MS, room="two")
            await until_so(lambda: second.live, PATIENCE_S)
            assert {first.worker, second.worker} == {0, 1}
            await until_kept(kept, 2)

            where = {each["name"]: each["node_id"] for each in await told() if "node_id" in each}
            head = nodes.head_node.node_id
            gone = first if where[f"worker-{first.worker}"] != head else second
            stays = second if gone is first else first
            assert where[f"worker-{stays.worker}"] == head

            drained = f"worker-{stays.worker}"
            assert await call("drain", head, nodes) == f"{drained}: empty; the node can be stopped"
            await until_so(lambda: stays.worker == gone.worker and stays.live, PATIENCE_S)
            assert stays.back_s[-1] < BACK_S + SLACK_S
            assert gone.back_s == []
            assert await asyncio.to_thread(cluster.drain, head, False) == [drained]

            killed_s = time.monotonic()
            await asyncio.to_thread(nodes.remove_node, nodes.second, False)
            for each in (gone, stays):
                back = await until(lambda each=each: len(each.back_s) > (each is stays) and each.live, PATIENCE_S)
                assert back, (each.id, each.back_s, each.refused, each.why, await told())
                assert each.worker == int(drained.partition("-")[2])
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


async def until_kept(kept: Callable[[], int], count: int) -> None:
    """There are so many banks."""
    ends_s = time.monotonic() + PATIENCE_S
    while await asyncio.to_thread(kept) < count:
        assert time.monotonic() < ends_s
        await asyncio.sleep(0.5)


async def call(command: str, node: str, nodes: Any) -> str:
    """As a program of its own: this one is in the cluster, and busy with visitors."""
    line = (*PROGRAM, "fleet", command, node, "--address", nodes.address)
    called = await asyncio.create_subprocess_exec(*line, stdout=asyncio.subprocess.PIPE)
    said, _ = await called.communicate()
    assert called.returncode == 0
    return said.decode().strip()


async def told() -> list[dict[str, Any]]:
    return list(await asyncio.to_thread(cluster.status))


async def wait_for_ready(http: ClientSession, url: str) -> None:
    ends_s = time.monotonic() + PATIENCE_S
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
