"""``realtime-dub fleet``: the studio on the machines of a Ray cluster."""

from __future__ import annotations

import time
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from realtime_dub.cli.options import Badge, BadgePlace, BadgeSize, BadgeWord, Marks, Quiet
from realtime_dub.cli.output import state_rule
from realtime_dub.cli.server_options import (
    ServeBitrateKbps,
    ServeCodec,
    ServeFps,
    ServeHost,
    ServeIdleS,
    ServeMaxBitrateKbps,
    ServeMaxInterpreters,
    ServeMaxSessions,
    ServeMaxViewers,
    ServeMediaTo,
    ServePort,
    ServeSelfSigned,
    ServeToken,
    ServeUploadMb,
    Stun,
    TlsCert,
    TlsKey,
    Turn,
    TurnPassword,
    TurnSecret,
    TurnUser,
    UdpPorts,
)
from realtime_dub.errors import DependencyError
from realtime_dub.terminal import console
from realtime_dub.trust.badge_style import WORD

fleet = typer.Typer(help="The studio on the machines of a Ray cluster.", no_args_is_help=True)
DRAIN_S = 600.0
Address = Annotated[
    str, typer.Option(help="The cluster: auto = the one this machine is in, HOST:PORT, ray://HOST:PORT.")
]
Folder = Annotated[
    Path,
    typer.Option(help="A folder that all nodes see under this path: uploads, recordings, avatars, what moves along."),
]
Workers = Annotated[int, typer.Option(help="Actors that dub, in all.")]
Gateways = Annotated[int, typer.Option(help="Actors that let people in: a node each, at the same port.")]
CpusPerWorker = Annotated[float, typer.Option(help="Cores that a worker has for itself.")]
GpusPerWorker = Annotated[float, typer.Option(help="The share of a card that a worker has; 0 = none.")]
WorkerPorts = Annotated[str, typer.Option(help="TCP ports of workers, which gateways alone need to reach.")]
PublicHost = Annotated[str | None, typer.Option(help="The name that visitors open, for the address that is printed.")]
PublicIps = Annotated[
    list[str] | None,
    typer.Option("--public-ip", help="NODE=PUBLIC: under which IPv4 address the world sees a node; several times."),
]
RedisUrl = Annotated[
    str | None,
    typer.Option("--redis", envvar="REALTIME_DUB_REDIS", help="A store for what moves along; else --folder is."),
]


@fleet.command("up")
def start_fleet(
    folder: Folder,
    address: Address = "auto",
    workers: Workers = 2,
    gateways: Gateways = 1,
    cpus_per_worker: CpusPerWorker = 1.0,
    gpus_per_worker: GpusPerWorker = 0.0,
    worker_ports: WorkerPorts = "7400-7499",
    public_host: PublicHost = None,
    public_ips: PublicIps = None,
    redis: RedisUrl = None,
    host: ServeHost = "0.0.0.0",
    port: ServePort = 8443,
    token: ServeToken = None,
    max_sessions: ServeMaxSessions = 2,
    max_interpreters: ServeMaxInterpreters = 8,
    max_viewers: ServeMaxViewers = 8,
    fps: ServeFps = 25,
    codec: ServeCodec = "vp8",
    bitrate_kbps: ServeBitrateKbps = 1_500,
    max_bitrate_kbps: ServeMaxBitrateKbps = 2_000,
    upload_mb: ServeUploadMb = 50,
    idle_s: ServeIdleS = 30,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    self_signed: ServeSelfSigned = False,
    stun: Stun = None,
    turn: Turn = None,
    turn_user: TurnUser = None,
    turn_password: TurnPassword = None,
    turn_secret: TurnSecret = None,
    udp_ports: UdpPorts = None,
    media_to: ServeMediaTo = "auto",
    badge: Badge = "corner",
    badge_place: BadgePlace = "top-left",
    badge_size: BadgeSize = 5,
    badge_word: BadgeWord = WORD,
    marks: Marks = "on",
    quiet: Quiet = False,
) -> None:
    """Start workers and gateways, and return: they live in the cluster. Seats (--max-...) are each worker's."""
    given = dict(locals())
    fleets = ("folder", "workers", "gateways", "cpus_per_worker", "gpus_per_worker", "worker_ports", "redis")
    beside = ("address", "public_host", "public_ips")
    serves = {name: value for name, value in given.items() if name not in (*fleets, *beside) and value is not None}
    _need_ray()
    from realtime_dub.config import build
    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.fleet import cluster
    from realtime_dub.web.fleet.config import FleetConfig
    from realtime_dub.web.http.connectivity import with_token

    serve = with_token(build(ServeConfig, **serves))
    of_fleet = {name: given[name] for name in fleets} | {"folder": folder.resolve()}
    config = build(
        FleetConfig, serve=serve, secret=cluster.new_secret(), public_ips=tuple(public_ips or ()), **of_fleet
    )
    state_rule(quiet)
    with cluster.connected(address):
        found = cluster.up(config)
    for each in [_public(public_host, serve.port, serve.secure, serve.token)] if public_host else found:
        typer.echo(each)


@fleet.command("status")
def show_fleet(address: Address = "auto") -> None:
    """Each worker and gateway: where it is, and how much it has to do."""
    _need_ray()
    from realtime_dub.web.fleet import cluster

    with cluster.connected(address):
        told = cluster.status()
    out = console()
    if not told:
        out.print("No fleet is up in this cluster.")
    for each in told:
        out.print(_line(each), markup=False, highlight=False, soft_wrap=True)


@fleet.command("drain")
def drain_node(
    node: Annotated[str, typer.Argument(help="A node, by its address, as status shows it.")],
    address: Address = "auto",
    undo: Annotated[bool, typer.Option("--undo", help="Let people come there again.")] = False,
) -> None:
    """Move everybody away from a node, a room at a time while nobody speaks, and wait until it is empty."""
    _need_ray()
    from realtime_dub.web.fleet import cluster

    with cluster.connected(address):
        names = cluster.drain(node, not undo)
        ends_s = time.monotonic() + DRAIN_S
        while not undo and (left := cluster.dubbed_by(names)) and time.monotonic() < ends_s:
            typer.echo(f"{left} to move", err=True)
            time.sleep(1.0)
    typer.echo(f"{', '.join(names)}: {'open again' if undo else 'empty; the node can be stopped'}")


@fleet.command("down")
def end_fleet(address: Address = "auto") -> None:
    """End all workers and gateways; recordings are finished first."""
    _need_ray()
    from realtime_dub.web.fleet import cluster

    with cluster.connected(address):
        typer.echo(f"{cluster.down()} ended")


def _line(told: dict[str, object]) -> str:
    load = told.get("load")
    if not isinstance(load, dict):
        return f"{told['name']}  {told.get('address') or told.get('state') or 'gone'}"
    says = "draining" if load["draining"] else "open"
    nice = f"  nice {told['nice']}" if told["nice"] else ""
    return (
        f"{told['name']}  {told['node']}  {says}  {load['dubbed']}/{load['seats']} dubbed  "
        f"late {100 * load['late']:.1f} %  processor {100 * load['busy']:.0f} %{nice}"
    )


def _public(host: str, port: int, secure: bool, token: str | None) -> str:
    return f"http{'s' if secure else ''}://{host}:{port}/" + (f"?token={token}" if token else "")


def _need_ray() -> None:
    for name in ("aiohttp", "aiortc", "ray"):
        if find_spec(name) is None:
            raise DependencyError("the fleet needs", name, "pip install 'realtime-dub[fleet]'")
