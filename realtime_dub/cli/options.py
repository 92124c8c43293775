"""The options of the commands: what each is called, what its help says and under which heading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_dub import __version__

Input, Picture, Mouth, Output = "What goes in", "The picture", "The mouth", "What comes out"
Net = "The network"
Face = Annotated[
    str,
    typer.Option(
        help="Whose mouth to dub when there are several people: largest, left, right, or a number from the left.",
        rich_help_panel=Mouth,
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        help="How the mouth is made; `realtime-dub engines` lists them, passthrough leaves it as it is.",
        rich_help_panel=Mouth,
    ),
]
Backend = Annotated[
    str,
    typer.Option(help="What runs the network: auto, onnx-cpu, onnx-cuda, or another one.", rich_help_panel=Mouth),
]
Bundle = Annotated[
    Path | None,
    typer.Option(help="A trained mouth to use instead of the built-in one: its folder.", rich_help_panel=Mouth),
]
LookAhead = Annotated[
    int | None,
    typer.Option(
        "--look-ahead",
        help="Milliseconds of the voice that the mouth waits for: 0, 40, 80 or 160. More follows the voice better and "
        "delays the picture as much.",
        show_default="live 80, files 160",
        rich_help_panel=Mouth,
    ),
]
Identity = Annotated[
    Path | None,
    typer.Option(
        help="A mouth bank made with `realtime-dub enroll`: how your mouth looks when it is open.",
        rich_help_panel=Mouth,
    ),
]
Strength = Annotated[
    float, typer.Option(help="How far the mouth moves: 1 = as spoken, 0.5 = half as far.", rich_help_panel=Mouth)
]
Seconds = Annotated[
    float | None, typer.Option(help="Stop after this many seconds.", show_default=False, rich_help_panel=Output)
]
StatsJson = Annotated[
    Path | None, typer.Option(help="Write the statistics of the run to this file.", rich_help_panel=Output)
]
Sheet = Annotated[
    Path | None,
    typer.Option(
        "--contact-sheet",
        help="Write a picture (.png) with moments of the run, before and after.",
        rich_help_panel=Output,
    ),
]
Background = Annotated[
    str,
    typer.Option(
        help="The colour behind what is transparent, and of bars beside a picture of another shape: a name or #rrggbb.",
        rich_help_panel=Picture,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=Output)]
TlsCert = Annotated[
    Path | None,
    typer.Option(help="A certificate (PEM): away from localhost browsers need https.", rich_help_panel=Net),
]
TlsKey = Annotated[Path | None, typer.Option(help="Its private key (PEM).", rich_help_panel=Net)]
Stun = Annotated[
    str | None, typer.Option(help="A STUN server for visitors behind routers, stun:HOST:PORT.", rich_help_panel=Net)
]
Turn = Annotated[
    str | None, typer.Option(help="A relay where nothing else connects, turn:HOST:PORT.", rich_help_panel=Net)
]
TurnUser = Annotated[str | None, typer.Option(help="Its user name.", rich_help_panel=Net)]
TurnPassword = Annotated[
    str | None,
    typer.Option(
        envvar="REALTIME_DUB_TURN_PASSWORD",
        help="Its password; visitors who know the token are given it.",
        rich_help_panel=Net,
    ),
]
PublicIp = Annotated[
    str | None,
    typer.Option(help="The IPv4 address under which the world sees this machine.", rich_help_panel=Net),
]
UdpPorts = Annotated[
    str | None,
    typer.Option(help="UDP ports for pictures and sound, such as 50000-50100.", rich_help_panel=Net),
]
VideoStream = Annotated[
    int | None,
    typer.Option(
        help="Which of several pictures in a file or stream, from 1. Without it: the one marked as default.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
AudioStream = Annotated[
    int | None,
    typer.Option(
        help="Which of several sounds in the voice's file, from 1. Without it: the one marked as default.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        help="The language of the sound in the voice's file, such as eng or en.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
PcmRate = Annotated[
    int,
    typer.Option(help="With --mic -: samples per second of raw sound.", rich_help_panel=Input),
]
PcmChannels = Annotated[int, typer.Option(help="With --mic -: its number of channels.", rich_help_panel=Input)]
PcmFormat = Annotated[str, typer.Option(help="With --mic -: its sample format, s16le or f32le.", rich_help_panel=Input)]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"realtime-dub {__version__}")
        raise typer.Exit


# Of one command alone.
LiveWebcam = Annotated[
    str,
    typer.Option(
        help="The camera: its number or path. Also a video file, a photo, an rtsp:// or http:// address, or demo.",
        rich_help_panel=Input,
    ),
]
LiveMic = Annotated[
    str,
    typer.Option(
        help="The voice to speak: default, a sound device's name or number, a sound file, video (the sound of the "
        "video file), - (standard input: raw sound, or a file such as WAV, FLAC, Ogg or MP3), or demo.",
        rich_help_panel=Input,
    ),
]
LiveTo = Annotated[
    list[str] | None,
    typer.Option(
        help="Where the picture goes; give it several times for several places: vcam (a camera that meeting "
        "programs see), vcam:DEVICE, window, a file such as out.mp4, rtmp://..., srt://..., webrtc (a page that "
        "others open to watch), webrtc:PORT, webrtc://HOST:PORT, whip://... or whips://... (a media server), null; "
        "for a character, the mouth's blendshape weights as a table (blendshapes.csv) or to its program "
        "(osc://127.0.0.1:39539). "
        "Without it: the virtual camera if there is one, else a window.",
        rich_help_panel=Output,
    ),
]
LiveSpeaker = Annotated[
    str | None,
    typer.Option(
        help="Play the voice, delayed to match the picture, to this sound device: its name, number or default.",
        rich_help_panel=Output,
    ),
]
LiveBudgetMs = Annotated[
    float | None,
    typer.Option(
        help="The delay between you and the picture, in milliseconds. Without it: the shortest that this machine "
        "can keep. Too short is refused with a table that says why.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
LiveWidth = Annotated[int, typer.Option(help="Width asked of the camera, in pixels.", rich_help_panel=Picture)]
LiveHeight = Annotated[int, typer.Option(help="Height asked of the camera, in pixels.", rich_help_panel=Picture)]
LiveFps = Annotated[float, typer.Option(help="Pictures per second asked of the camera.", rich_help_panel=Picture)]
LiveLoop = Annotated[
    bool, typer.Option("--loop", help="Start a video or sound file again when it ends.", rich_help_panel=Input)
]
LiveVersion = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave.")
]
FileInput = Annotated[str, typer.Argument(metavar="INPUT", help="A video file, a photo, or demo.")]
FileOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="The file to write: .mp4 or .mkv, or .csv for the mouth's blendshape weights.",
        rich_help_panel=Output,
    ),
]
FileMic = Annotated[
    str,
    typer.Option(
        help="The voice to speak: a sound file, video (the video's own sound), - (standard input: raw "
        "sound, or a file such as WAV, FLAC, Ogg or MP3), or demo.",
        rich_help_panel=Input,
    ),
]
FileExtend = Annotated[
    bool,
    typer.Option(
        "--extend",
        help="Where the voice is longer than the video, hold the last picture until it ends. Without it the "
        "picture decides how long the result is.",
        rich_help_panel=Output,
    ),
]
FileCrf = Annotated[
    int | None,
    typer.Option(help="Picture quality: 0 = lossless, 18 = very good, 28 = small file.", rich_help_panel=Output),
]
FilePreset = Annotated[
    str | None,
    typer.Option(
        help="Time spent on making the file small: ultrafast, veryfast, medium, slow.", rich_help_panel=Output
    ),
]
BankInput = Annotated[str, typer.Argument(metavar="INPUT", help="A video in which you speak, about a minute.")]
BankOutput = Annotated[Path, typer.Option("--output", "-o", help="The mouth bank to write, such as me.bank.")]
ServeHost = Annotated[
    str, typer.Option(help="Where to listen. Anything but this machine needs a token; without one, one is made.")
]
ServePort = Annotated[int, typer.Option(help="The TCP port; 0 = any that is free.")]
ServeToken = Annotated[
    str | None,
    typer.Option(envvar="REALTIME_DUB_TOKEN", help="Whoever opens the page has to know it.", show_default=False),
]
ServeMaxSessions = Annotated[int, typer.Option(help="People dubbed at a time; the next one is told to wait.")]
ServeMaxInterpreters = Annotated[int, typer.Option(help="Interpreters at a time, in all rooms.")]
ServeMaxViewers = Annotated[int, typer.Option(help="Viewers at a time, in all rooms.")]
ServeFps = Annotated[float, typer.Option(help="Pictures per second given back.", rich_help_panel=Output)]
ServeCodec = Annotated[str, typer.Option(help="Preferred picture codec: vp8 or h264.", rich_help_panel=Output)]
ServeBitrateKbps = Annotated[int, typer.Option(help="Bitrate of the picture to begin with.", rich_help_panel=Output)]
ServeMaxBitrateKbps = Annotated[
    int, typer.Option(help="Bitrate of the picture where the network gives it.", rich_help_panel=Output)
]
ServeUploadMb = Annotated[int, typer.Option(help="Largest file that a page may send.", rich_help_panel=Input)]
ServeServerMic = Annotated[
    str | None,
    typer.Option(
        help="A sound device of this machine that visitors may choose as their voice: they hear it.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
ServeIdleS = Annotated[float, typer.Option(help="Seconds without picture or sound after which a visitor leaves.")]
ServeSelfSigned = Annotated[
    bool,
    typer.Option("--self-signed", help="Make a certificate for this run; the browser asks once.", rich_help_panel=Net),
]
ServeMediaTo = Annotated[
    str,
    typer.Option(
        help="Addresses of visitors that are tried: machine, lan, internet (public ones only), auto (by --host).",
        rich_help_panel=Net,
    ),
]
ServePictureHeight = Annotated[
    int, typer.Option(help="Lines of 16:9; pictures with more pixels are made smaller.", rich_help_panel=Input)
]
