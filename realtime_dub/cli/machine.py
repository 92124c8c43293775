"""Commands about this machine: a server on it, its devices, what it has."""

from __future__ import annotations

from importlib.util import find_spec

import typer

from realtime_dub.cli.credential_options import Credentials, SignCert, SignerUrl, SignKey, Tsa
from realtime_dub.cli.options import Badge, BadgePlace, BadgeSize, BadgeWord, Bundle, Marks, Quiet
from realtime_dub.cli.output import state_rule
from realtime_dub.cli.server_options import (
    PublicIp,
    ServeAvatars,
    ServeBitrateKbps,
    ServeCodec,
    ServeDecode,
    ServeFps,
    ServeHost,
    ServeIdleS,
    ServeLinkHours,
    ServeMaxBandwidthKbps,
    ServeMaxBitrateKbps,
    ServeMaxChannels,
    ServeMaxInterpreters,
    ServeMaxSessions,
    ServeMaxViewers,
    ServeMediaTo,
    ServePictureHeight,
    ServePort,
    ServePushTo,
    ServeSelfSigned,
    ServeServerMic,
    ServeSize,
    ServeSpare,
    ServeToken,
    ServeTrainAvatars,
    ServeUploadMb,
    ServeWorkers,
    Stun,
    TlsCert,
    TlsKey,
    Turn,
    TurnPassword,
    TurnSecret,
    TurnUser,
    UdpPorts,
)
from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.terminal import console
from realtime_dub.trust.badge_style import WORD


def serve(
    host: ServeHost = "127.0.0.1",
    port: ServePort = 8080,
    token: ServeToken = None,
    max_sessions: ServeMaxSessions = 2,
    workers: ServeWorkers = None,
    spare: ServeSpare = True,
    max_interpreters: ServeMaxInterpreters = 8,
    max_viewers: ServeMaxViewers = 8,
    max_channels: ServeMaxChannels = None,
    max_bandwidth_kbps: ServeMaxBandwidthKbps = None,
    push_to: ServePushTo = None,
    link_hours: ServeLinkHours = 168,
    fps: ServeFps = None,
    size: ServeSize = "auto",
    codec: ServeCodec = "vp8",
    bitrate_kbps: ServeBitrateKbps = 1_500,
    max_bitrate_kbps: ServeMaxBitrateKbps = 2_000,
    upload_mb: ServeUploadMb = 50,
    server_mic: ServeServerMic = None,
    avatars: ServeAvatars = None,
    train_avatars: ServeTrainAvatars = 0,
    idle_s: ServeIdleS = 30,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    self_signed: ServeSelfSigned = False,
    stun: Stun = None,
    turn: Turn = None,
    turn_user: TurnUser = None,
    turn_password: TurnPassword = None,
    turn_secret: TurnSecret = None,
    public_ip: PublicIp = None,
    udp_ports: UdpPorts = None,
    media_to: ServeMediaTo = "auto",
    picture_height: ServePictureHeight = 720,
    decode: ServeDecode = "apart",
    badge: Badge = "corner",
    badge_place: BadgePlace = "top-left",
    badge_size: BadgeSize = 5,
    badge_word: BadgeWord = WORD,
    credentials: Credentials = "on",
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    signer: SignerUrl = None,
    tsa: Tsa = None,
    bundle: Bundle = None,
    marks: Marks = "on",
    quiet: Quiet = False,
) -> None:
    """Let a browser use this machine: open the printed address, see your own face speak."""
    given = {name: value for name, value in locals().items() if name not in ("fps", "push_to") or value is not None}
    _need_web()
    if train_avatars and find_spec("torch") is None:
        raise DependencyError("--train-avatars needs", "torch", "pip install 'realtime-dub[train]'")
    from realtime_dub.config import build
    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.workers.serving import serve as run_server

    config = build(ServeConfig, **given)
    state_rule(quiet)
    run_server(config, typer.echo)


def _need_web() -> None:
    for name in ("aiohttp", "aiortc", "prometheus_client", "segno"):
        if find_spec(name) is None:
            raise DependencyError("the server needs", name, "pip install 'realtime-dub[web]'")


def devices() -> None:
    """List cameras, microphones, speakers and virtual cameras."""
    from realtime_dub.doctor import list_devices

    out = console()
    for title, found in list_devices().items():
        out.print(f"[bold]{title}[/bold]")
        for line in found:
            out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def doctor(
    bundle: Bundle = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    stun: Stun = None,
    turn: Turn = None,
    turn_user: TurnUser = None,
    turn_password: TurnPassword = None,
    turn_secret: TurnSecret = None,
    public_ip: PublicIp = None,
    udp_ports: UdpPorts = None,
) -> None:
    """Check this machine, and say what to do if something is missing.

    With --bundle, doctor measures this painter, too. With the network options of serve, doctor tests these too.
    """
    given = locals()
    from realtime_dub.config import build
    from realtime_dub.doctor import can_run, examine, examine_network, table
    from realtime_dub.web.config import ServeConfig

    secrets = ("turn_password", "turn_secret")  # may come from the environment, and say nothing of what to test
    config = build(ServeConfig, **{**given, **{name: given[name] if turn else None for name in secrets}})
    checks = examine(bundle)
    if any(value is not None for name, value in given.items() if name not in ("bundle", *secrets)):
        checks += examine_network(config)
    console().print(table(checks))
    raise typer.Exit(0 if can_run(checks) else ConfigError.exit_code)
