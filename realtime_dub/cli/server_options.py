"""The options of ``serve`` alone, as ``options`` has those of the others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_dub.cli.options import Input, Output

Net = "Network"
TlsCert = Annotated[
    Path | None,
    typer.Option(help="A certificate (PEM). Browsers need https, except on localhost.", rich_help_panel=Net),
]
TlsKey = Annotated[Path | None, typer.Option(help="The certificate's private key (PEM).", rich_help_panel=Net)]
Stun = Annotated[
    str | None, typer.Option(help="A STUN server for visitors behind routers, stun:HOST:PORT.", rich_help_panel=Net)
]
Turn = Annotated[
    str | None,
    typer.Option(help="A relay for visitors who cannot connect otherwise, turn:HOST:PORT.", rich_help_panel=Net),
]
TurnUser = Annotated[str | None, typer.Option(help="The relay's user name.", rich_help_panel=Net)]
TurnPassword = Annotated[
    str | None,
    typer.Option(
        envvar="REALTIME_DUB_TURN_PASSWORD",
        help="The relay's password. Visitors who know the token get it.",
        rich_help_panel=Net,
    ),
]
TurnSecret = Annotated[
    str | None,
    typer.Option(
        envvar="REALTIME_DUB_TURN_SECRET",
        help="The secret shared with the relay (coturn's static-auth-secret): each visitor gets a pass for a day.",
        show_default=False,
        rich_help_panel=Net,
    ),
]
PublicIp = Annotated[
    str | None,
    typer.Option(help="The IPv4 address of this machine on the internet.", rich_help_panel=Net),
]
UdpPorts = Annotated[
    str | None,
    typer.Option(help="UDP ports for video and audio, such as 50000-50100.", rich_help_panel=Net),
]
ServeHost = Annotated[
    str, typer.Option(help="Where to listen. Other machines need a token; if you give none, the server makes one.")
]
ServePort = Annotated[int, typer.Option(help="The TCP port; 0 = any that is free.")]
ServeToken = Annotated[
    str | None,
    typer.Option(
        envvar="REALTIME_DUB_TOKEN", help="The token that visitors need to open the page.", show_default=False
    ),
]
ServeMaxSessions = Annotated[int, typer.Option(help="People dubbed at a time; the next one has to wait.")]
ServeWorkers = Annotated[
    int | None,
    typer.Option(
        help="Processes that dub, behind one address; 1 = all in this one.",
        show_default="one for each of --max-sessions, at most one for each core",
    ),
]
ServeSpare = Annotated[
    bool,
    typer.Option("--spare/--no-spare", help="One more process that has loaded all, and stands in where one has ended."),
]
ServeMaxInterpreters = Annotated[int, typer.Option(help="Interpreters at a time, in all rooms.")]
ServeMaxViewers = Annotated[int, typer.Option(help="Viewers at a time, in all rooms.")]
ServeMaxChannels = Annotated[
    int | None,
    typer.Option(
        help="Dubbed pictures of channels, beside each person's own, in each process that dubs.",
        show_default="as many as this machine holds",
    ),
]
ServeMaxBandwidthKbps = Annotated[
    int | None,
    typer.Option(help="Kilobits per second of all video that leaves, at most.", show_default="no limit"),
]
ServePushTo = Annotated[
    list[str] | None,
    typer.Option(help="A host that operators may push channels to; may be given several times.", show_default="none"),
]
ServeLinkHours = Annotated[float, typer.Option(help="How long a link for a role opens its room.")]
ServeFps = Annotated[
    float | None,
    typer.Option(
        help="Frames per second that visitors get back, and that their cameras are asked for.",
        show_default="30 if this machine can make mouths that fast at 1280x720, else 25",
        rich_help_panel=Output,
    ),
]
ServeSize = Annotated[
    str,
    typer.Option(
        help="What pages ask cameras for: 480p, 720p, or auto = 1280x720 if this machine can make mouths that fast, "
        "which is measured at the start.",
        rich_help_panel=Output,
    ),
]
ServeCodec = Annotated[str, typer.Option(help="Preferred video codec: vp8 or h264.", rich_help_panel=Output)]
ServeBitrateKbps = Annotated[int, typer.Option(help="Bitrate of the video at the start.", rich_help_panel=Output)]
ServeMaxBitrateKbps = Annotated[
    int, typer.Option(help="Highest bitrate of the video, if the network allows it.", rich_help_panel=Output)
]
ServeUploadMb = Annotated[int, typer.Option(help="Largest file that a page may send.", rich_help_panel=Input)]
ServeServerMic = Annotated[
    str | None,
    typer.Option(
        help="An audio device of this machine that visitors may choose as their voice, and hear.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
ServeAvatars = Annotated[
    Path | None,
    typer.Option(
        help="A folder of avatars that visitors may choose as their picture.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
ServeTrainAvatars = Annotated[
    int,
    typer.Option(
        help="Train avatars of films that visitors send, one at a time, and keep so many; 0 = none.",
        rich_help_panel=Input,
    ),
]
ServeIdleS = Annotated[
    float, typer.Option(help="After how many seconds without video or audio a visitor has to leave.")
]
ServeSelfSigned = Annotated[
    bool,
    typer.Option("--self-signed", help="Make a certificate for this run; the browser asks once.", rich_help_panel=Net),
]
ServeMediaTo = Annotated[
    str,
    typer.Option(
        help="Where media may be sent: machine, lan, internet (public addresses only), auto (decided by --host).",
        rich_help_panel=Net,
    ),
]
ServeDecode = Annotated[
    str,
    typer.Option(
        help="Where visitors' video and audio are decoded: apart (processes with limits, without the network), within.",
        rich_help_panel=Input,
    ),
]
ServePictureHeight = Annotated[
    int, typer.Option(help="Larger frames than 16:9 with this many lines are made smaller.", rich_help_panel=Input)
]
