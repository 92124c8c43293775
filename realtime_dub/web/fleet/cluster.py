"""All that knows Ray: workers and gateways as named, detached actors; how they are started, found, drained and ended.

A detached actor lives until it is killed or the cluster ends; with ``max_restarts=-1`` Ray starts it anew wherever its
``num_cpus`` and ``num_gpus`` are free. A worker's number is in its name, so it stays the same worker there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import ray
from ray._private.services import get_ray_address_from_environment  # what "auto" is; nothing public tells
from ray.exceptions import GetTimeoutError, RayError
from ray.util import list_named_actors
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from realtime_dub import __version__
from realtime_dub.errors import ConfigError, UserError
from realtime_dub.web.fleet.config import FleetConfig
from realtime_dub.web.fleet.gateway import Gateway
from realtime_dub.web.fleet.host import Host

NAMESPACE = "realtime-dub"
WORKER, GATEWAY = "worker-", "gateway-"
START_S = 120.0
ASK_S = 3.0
END_S = 6.0  # recordings are finished
HEAD = "node:__internal_head__"  # what Ray's first node has
FAILED = 1  # the exit code with which Ray starts an actor anew


class WorkerActor:
    """Made into an actor by :func:`up`."""

    def __init__(self, config: str, number: int) -> None:
        self._host = Host(FleetConfig.model_validate_json(config), number, ray.util.get_node_ip_address())
        _end_with(self._host.over)

    def where(self) -> str:
        return self._host.where(START_S)

    def status(self) -> dict[str, Any]:
        load = self._host.load
        told: dict[str, Any] = {"node": ray.util.get_node_ip_address(), "pid": os.getpid(), "nice": _niceness()}
        return told | ({"load": load.model_dump()} if load is not None else {})

    def node(self) -> str:
        return str(ray.get_runtime_context().get_node_id())

    def drain(self, wanted: bool) -> None:
        self._host.drain(wanted)

    def close(self) -> None:
        self._host.close(END_S)


class GatewayActor:
    """Made into an actor by :func:`up`."""

    def __init__(self, config: str) -> None:
        self._gateway = Gateway(FleetConfig.model_validate_json(config), where_is)
        _end_with(self._gateway.over)

    def where(self) -> str:
        return self._gateway.where(START_S)

    def close(self) -> None:
        self._gateway.close(END_S)


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """To the cluster. Raises ConfigError where there is none."""
    try:
        _refuse_nobody(address)
        ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:
        ray.shutdown()  # it may be half there
        other = "Version mismatch" in str(error)
        advice = "install one version on all nodes" if other else "start one with: ray start --head"
        raise ConfigError("cannot reach a Ray cluster", f"{address}: {_short(error)}", advice) from error
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_nobody(address: str) -> None:
    """Ray itself asks an address at which nobody answers for 80 s. Raises OSError."""
    if address == "auto":  # the cluster that ran here last may have been killed since
        address = str(get_ray_address_from_environment(address, None))
    host, _, port = address.rpartition(":")
    if port.isdecimal() and "://" not in address:
        socket.create_connection((host.strip("[]"), int(port)), ASK_S).close()


def up(config: FleetConfig) -> list[str]:
    """The gateways' addresses, once they let people in and one worker is ready. Raises ConfigError, UserError."""
    if _names():
        raise ConfigError(
            "cannot start the fleet", "there is one in this cluster", "end it with: realtime-dub fleet down"
        )
    told = config.model_copy(update={"version": __version__}).model_dump_json(exclude_unset=True)
    always = {"lifetime": "detached", "max_restarts": -1, "max_concurrency": 8}
    workers = [
        ray.remote(WorkerActor)
        .options(
            name=f"{WORKER}{number}",
            num_cpus=config.cpus_per_worker,
            num_gpus=config.gpus_per_worker,
            scheduling_strategy="SPREAD",
            **always,
        )
        .remote(told, number)
        for number in range(config.workers)
    ]
    try:
        gateways = [
            ray.remote(GatewayActor)
            .options(name=f"{GATEWAY}{number}", num_cpus=0, scheduling_strategy=strategy, **always)
            .remote(told)
            for number, strategy in enumerate(_strategies(config.gateways))
        ]
        addresses = [_first([each.where.remote()], "gateway") for each in gateways]
        _first([each.where.remote() for each in workers], "worker")
        return addresses
    except RayError as error:
        down()
        raise UserError(_cause(error)) from error
    except BaseException:  # Ctrl-C, too: nobody wants half a fleet
        down()
        raise


def down() -> int:
    """How many actors were ended."""
    actors = [actor for name in _names() if (actor := _actor(name)) is not None]
    with contextlib.suppress(RayError):
        ray.wait([actor.close.remote() for actor in actors], num_returns=len(actors), timeout=END_S) if actors else None
    for actor in actors:
        with contextlib.suppress(RayError):
            ray.kill(actor, no_restart=True)
    return len(actors)


def status() -> list[dict[str, Any]]:
    """Of each worker and gateway: its name, its node, where it answers, its load. What does not answer has no node."""
    return [_status(name) for name in _names()]


def drain(node: str, wanted: bool = True) -> list[str]:
    """The workers of a node, by address or Ray's id, that drain from now on, or not any more. Raises ConfigError."""
    there = []
    for name in _names(WORKER):
        told = _status(name)
        actor = _actor(name)
        if actor is None or node not in (told.get("node"), told.get("node_id")):
            continue
        ray.get(actor.drain.remote(wanted), timeout=ASK_S)
        there.append(name)
    if not there:
        raise ConfigError("cannot drain", f"{node}: no worker is there", "realtime-dub fleet status lists the nodes")
    return there


def dubbed_by(names: list[str]) -> int:
    """People who are still with those workers; who does not answer has nobody any more."""
    return sum(_people(_status(name)) for name in names)


def where_is(number: int) -> str:
    """Where a worker answers. Raises OSError where it does not, or does not yet."""
    try:
        actor = ray.get_actor(f"{WORKER}{number}", NAMESPACE)
        return str(ray.get(actor.where.remote(), timeout=START_S))
    except (RayError, ValueError) as error:
        raise OSError(f"worker {number} is not there: {_short(error)}") from error


def new_secret() -> str:
    return secrets.token_urlsafe(24)


def _niceness() -> int:
    """Ray starts its processes at 15 unless told otherwise: no priority for what has to be in time."""
    return os.nice(0) if hasattr(os, "nice") else 0


def _status(name: str) -> dict[str, Any]:
    told: dict[str, Any] = {"name": name}
    if (actor := _actor(name)) is None:
        return told
    try:
        if name.startswith(WORKER):
            told |= ray.get(actor.status.remote(), timeout=ASK_S)
            told["node_id"] = ray.get(actor.node.remote(), timeout=ASK_S)
        told["address"] = ray.get(actor.where.remote(), timeout=ASK_S)
    except RayError as error:
        told["state"] = _mendable(error) or "starting, or waiting for a node with room"
    return told


def _people(told: dict[str, Any]) -> int:
    load = told.get("load", {})
    return int(load.get("dubbed", 0)) + int(load.get("queued", 0))


def _names(kind: str = "") -> list[str]:
    found = [name for name in list_named_actors() if name.startswith(kind or (WORKER, GATEWAY))]
    return sorted(found, key=lambda name: (name.partition("-")[0], int(name.partition("-")[2])))


def _actor(name: str) -> Any:
    """None where it has just gone."""
    try:
        return ray.get_actor(name, NAMESPACE)
    except ValueError:
        return None


def _first(ready: list[Any], what: str) -> str:
    """Where the first one that is answers; raise what the last one failed with where none is."""
    ends_s = time.monotonic() + START_S
    while True:
        done, ready = ray.wait(ready, timeout=max(0.0, ends_s - time.monotonic()))
        if not done:
            raise GetTimeoutError(f"no {what} was ready within {START_S:g} s; look whether a node has room: ray status")
        try:
            return str(ray.get(done[0]))
        except RayError:
            if not ready:
                raise


def _strategies(count: int) -> list[Any]:
    """A node each, so that each has the port, the head first: without it there is no cluster anyway. Nowhere else: with
    ``soft``, Ray puts one on another node now and then though there is room, and it ends with that.
    """
    alive = sorted((each for each in ray.nodes() if each["Alive"]), key=lambda each: HEAD not in each["Resources"])
    nodes = [str(each["NodeID"]) for each in alive]
    if count > len(nodes):
        what = f"{count} gateways on {len(nodes)} nodes"
        raise ConfigError("cannot start the fleet", what, "a node has one: give --gateways less")
    return [NodeAffinitySchedulingStrategy(node, soft=False) for node in nodes[:count]]


def _end_with(over: threading.Event) -> None:
    """A loop that has ended by itself ends its actor: Ray starts it anew."""

    def watch() -> None:
        over.wait()
        time.sleep(1.0)  # whoever waits for an answer gets it
        os._exit(FAILED)

    threading.Thread(target=watch, name="watch", daemon=True).start()


def _cause(error: BaseException) -> str:
    """What an actor could not do, in its own words where they are for people."""
    return _mendable(error) or _short(error)


def _mendable(error: BaseException) -> str:
    """Empty where it is nothing that a user can mend."""
    cause = getattr(error, "cause", None)
    return str(cause) if isinstance(cause, UserError) else ""


def _short(error: BaseException) -> str:
    """The first lines: Ray's own are followed by what its processes logged."""
    return " ".join(str(error).split())[:300] or type(error).__name__
