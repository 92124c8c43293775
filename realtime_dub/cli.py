"""The command line. What a command needs is imported when it runs, so that help and errors come at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from realtime_dub import __version__, faults, signals, standard_streams
from realtime_dub.errors import ConfigError, DependencyError, LostOutput, RealtimeDubError, one_line
from realtime_dub.inference import AUTO
from realtime_dub.mouth import registry
from realtime_dub.terminal import console

if TYPE_CHECKING:
    from realtime_dub.pipeline.statistics import Report

app = typer.Typer(
    name="realtime-dub",
    help="Dub yourself live: your camera and a voice go in, your own mouth speaking that voice comes out, in step.\n\n"
    "Without a command it runs live until Ctrl-C.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
USAGE_ERROR: Any = typer.BadParameter.__base__  # all that can be wrong with options and arguments
FAULTS = faults.OURS
INTERRUPTED = 130  # what a shell reports for Ctrl-C

Input, Picture, Mouth, Output = "Input", "Video", "Mouth", "Output"
Net = "Network"
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
        help="The engine that makes the mouth: `realtime-dub engines` lists all; passthrough changes nothing.",
        rich_help_panel=Mouth,
    ),
]
Backend = Annotated[
    str,
    typer.Option(
        help="The library that runs the network: auto, onnx-cpu, onnx-cuda, or another one.", rich_help_panel=Mouth
    ),
]
Bundle = Annotated[
    Path | None,
    typer.Option(help="The folder of another trained mouth. Without it: the built-in one.", rich_help_panel=Mouth),
]
LookAhead = Annotated[
    int | None,
    typer.Option(
        "--look-ahead",
        help="How many milliseconds of the voice the mouth waits for: 0, 40, 80 or 160. More is more accurate, and "
        "delays the video by the same time.",
        show_default="live 80, files 160",
        rich_help_panel=Mouth,
    ),
]
Identity = Annotated[
    Path | None,
    typer.Option(
        help="A mouth bank from `realtime-dub enroll`: images of your open mouth.",
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
        help="Write an image (.png) with moments of the run, before and after the dub.",
        rich_help_panel=Output,
    ),
]
Background = Annotated[
    str,
    typer.Option(
        help="The colour of bars and of transparent parts: a name or #rrggbb.",
        rich_help_panel=Picture,
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=Output)]
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
PublicIp = Annotated[
    str | None,
    typer.Option(help="The IPv4 address of this machine on the internet.", rich_help_panel=Net),
]
UdpPorts = Annotated[
    str | None,
    typer.Option(help="UDP ports for video and audio, such as 50000-50100.", rich_help_panel=Net),
]
VideoStream = Annotated[
    int | None,
    typer.Option(
        help="Which video stream of a file or address, from 1. Without it: the one marked as default.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
AudioStream = Annotated[
    int | None,
    typer.Option(
        help="Which audio stream of the voice's file, from 1. Without it: the one marked as default.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        help="The language of the audio stream in the voice's file, such as eng or en.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
PcmRate = Annotated[
    int,
    typer.Option(help="With --mic -: samples per second of raw audio.", rich_help_panel=Input),
]
PcmChannels = Annotated[int, typer.Option(help="With --mic -: channels of raw audio.", rich_help_panel=Input)]
PcmFormat = Annotated[
    str, typer.Option(help="With --mic -: sample format of raw audio, s16le or f32le.", rich_help_panel=Input)
]


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"realtime-dub {__version__}")
        raise typer.Exit


@app.callback()
def live(
    context: typer.Context,
    webcam: Annotated[
        str,
        typer.Option(
            help="The camera: its number or path. Also a video file, a photo, an rtsp:// or http:// address, or demo.",
            rich_help_panel=Input,
        ),
    ] = "0",
    mic: Annotated[
        str,
        typer.Option(
            help="The voice to speak: default, an audio device's name or number, an audio file, video (the video "
            "file's own audio), - (standard input: raw audio, or a file such as WAV, FLAC, Ogg or MP3), or demo.",
            rich_help_panel=Input,
        ),
    ] = "default",
    to: Annotated[
        list[str] | None,
        typer.Option(
            help="Where the video goes; give --to several times for several outputs: vcam (a camera that meeting "
            "programs see), vcam:DEVICE, window, a file such as out.mp4, rtmp://..., srt://..., webrtc (a page that "
            "others open to watch), webrtc:PORT, webrtc://HOST:PORT, whip://... or whips://... (a media server), null; "
            "for an animated character, the mouth's blendshape weights as a table (blendshapes.csv) or to its program "
            "(osc://127.0.0.1:39539). "
            "Without it: the virtual camera if there is one, else a window.",
            rich_help_panel=Output,
        ),
    ] = None,
    speaker: Annotated[
        str | None,
        typer.Option(
            help="Play the voice, delayed to match the video, to this audio device: its name, number or default.",
            rich_help_panel=Output,
        ),
    ] = None,
    budget_ms: Annotated[
        float | None,
        typer.Option(
            help="The delay from capture to output, in milliseconds. Without it: the shortest that this machine can "
            "keep. A budget that is too short is refused, with a table that says why.",
            show_default=False,
            rich_help_panel=Output,
        ),
    ] = None,
    width: Annotated[
        int, typer.Option(help="Frame width to ask the camera for, in pixels.", rich_help_panel=Picture)
    ] = 640,
    height: Annotated[
        int, typer.Option(help="Frame height to ask the camera for, in pixels.", rich_help_panel=Picture)
    ] = 480,
    fps: Annotated[float, typer.Option(help="Frames per second to ask the camera for.", rich_help_panel=Picture)] = 25,
    background: Background = "black",
    face: Face = "largest",
    engine: Engine = registry.DEFAULT,
    bundle: Bundle = None,
    backend: Backend = AUTO,
    identity: Identity = None,
    strength: Strength = 1.0,
    look_ahead: LookAhead = None,
    loop: Annotated[
        bool, typer.Option("--loop", help="Start a video or audio file again when it ends.", rich_help_panel=Input)
    ] = False,
    seconds: Seconds = None,
    stats_json: StatsJson = None,
    contact_sheet: Sheet = None,
    pcm_rate: PcmRate = 16_000,
    pcm_channels: PcmChannels = 1,
    pcm_format: PcmFormat = "s16le",
    video_stream: VideoStream = None,
    audio_stream: AudioStream = None,
    language: Language = None,
    quiet: Quiet = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    given = {name: value for name, value in locals().items() if name not in ("context", "version")}
    if context.invoked_subcommand is not None:
        _refuse_live_options(context)
        return
    from realtime_dub.config import LiveConfig, build

    config = build(LiveConfig, **{**given, "to": tuple(to or ())})
    from realtime_dub.pipeline.live.run import run_live

    _show(run_live(config), quiet)


@app.command("file")
def dub_file(
    input: Annotated[str, typer.Argument(metavar="INPUT", help="A video file, a photo, or demo.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="The file to write: .mp4 or .mkv, or .csv for the mouth's blendshape weights.",
            rich_help_panel=Output,
        ),
    ],
    mic: Annotated[
        str,
        typer.Option(
            help="The voice to speak: an audio file, video (the video's own audio), - (standard input: raw "
            "audio, or a file such as WAV, FLAC, Ogg or MP3), or demo.",
            rich_help_panel=Input,
        ),
    ] = "video",
    extend: Annotated[
        bool,
        typer.Option(
            "--extend",
            help="If the voice is longer than the video, repeat the last frame until the voice ends. Without it: the "
            "result is as long as the video.",
            rich_help_panel=Output,
        ),
    ] = False,
    crf: Annotated[
        int | None,
        typer.Option(help="Video quality: 0 = lossless, 18 = very good, 28 = small file.", rich_help_panel=Output),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="How much time to spend on a small file: ultrafast, veryfast, medium, slow.", rich_help_panel=Output
        ),
    ] = None,
    background: Background = "black",
    face: Face = "largest",
    engine: Engine = registry.DEFAULT,
    bundle: Bundle = None,
    backend: Backend = AUTO,
    identity: Identity = None,
    strength: Strength = 1.0,
    look_ahead: LookAhead = None,
    seconds: Seconds = None,
    stats_json: StatsJson = None,
    contact_sheet: Sheet = None,
    pcm_rate: PcmRate = 16_000,
    pcm_channels: PcmChannels = 1,
    pcm_format: PcmFormat = "s16le",
    video_stream: VideoStream = None,
    audio_stream: AudioStream = None,
    language: Language = None,
    quiet: Quiet = False,
) -> None:
    """Dub a video file or a photo, as fast as the machine goes."""
    given = locals()
    from realtime_dub.config import FileConfig, build

    config = build(FileConfig, **given)
    from realtime_dub.pipeline.file.run import run_file

    with _Progress("dubbing", quiet) as progress:
        report = run_file(config, progress)
    _show(report, quiet)


@app.command("enroll")
def make_bank(
    input: Annotated[str, typer.Argument(metavar="INPUT", help="A video in which you speak, about a minute.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The mouth bank to write, such as me.bank.")],
    face: Face = "largest",
    engine: Engine = registry.DEFAULT,
    quiet: Quiet = False,
) -> None:
    """Learn from a video how your mouth looks; use it with --identity."""
    from realtime_dub.pipeline.file.enrolment import enroll

    with _Progress("looking", quiet) as progress:
        summary = enroll(input, output, engine=engine, face=face, progress=progress)
    if not quiet:
        typer.echo(summary)


@app.command("engines")
def list_engines() -> None:
    """List the engines that there are, and what each can do."""
    from rich.table import Table

    table = Table()
    for title, whole in (("engine", True), ("what it shows", True), ("takes", False)):
        table.add_column(title, no_wrap=whole)
    for name in registry.names():
        each = registry.engine(name)
        options = " ".join(text for option, text in registry.OPTIONS.items() if option in each.options)
        table.add_row(name, each.summary, options)
    console().print(table)


@app.command()
def serve(
    host: Annotated[
        str, typer.Option(help="Where to listen. Other machines need a token; if you give none, the server makes one.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The TCP port; 0 = any that is free.")] = 8080,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="REALTIME_DUB_TOKEN", help="The token that visitors need to open the page.", show_default=False
        ),
    ] = None,
    max_sessions: Annotated[int, typer.Option(help="People dubbed at a time; the next one has to wait.")] = 2,
    max_interpreters: Annotated[int, typer.Option(help="Interpreters at a time, in all rooms.")] = 8,
    max_viewers: Annotated[int, typer.Option(help="Viewers at a time, in all rooms.")] = 8,
    fps: Annotated[float, typer.Option(help="Frames per second that visitors get back.", rich_help_panel=Output)] = 25,
    codec: Annotated[str, typer.Option(help="Preferred video codec: vp8 or h264.", rich_help_panel=Output)] = "vp8",
    bitrate_kbps: Annotated[
        int, typer.Option(help="Bitrate of the video at the start.", rich_help_panel=Output)
    ] = 1_500,
    max_bitrate_kbps: Annotated[
        int, typer.Option(help="Highest bitrate of the video, if the network allows it.", rich_help_panel=Output)
    ] = 2_000,
    upload_mb: Annotated[int, typer.Option(help="Largest file that a page may send.", rich_help_panel=Input)] = 50,
    server_mic: Annotated[
        str | None,
        typer.Option(
            help="An audio device of this machine that visitors may choose as their voice, and hear.",
            show_default=False,
            rich_help_panel=Input,
        ),
    ] = None,
    idle_s: Annotated[
        float, typer.Option(help="After how many seconds without video or audio a visitor has to leave.")
    ] = 30,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    self_signed: Annotated[
        bool,
        typer.Option(
            "--self-signed", help="Make a certificate for this run; the browser asks once.", rich_help_panel=Net
        ),
    ] = False,
    stun: Stun = None,
    turn: Turn = None,
    turn_user: TurnUser = None,
    turn_password: TurnPassword = None,
    public_ip: PublicIp = None,
    udp_ports: UdpPorts = None,
    media_to: Annotated[
        str,
        typer.Option(
            help="Where media may be sent: machine, lan, internet (public addresses only), auto (decided by --host).",
            rich_help_panel=Net,
        ),
    ] = "auto",
    picture_height: Annotated[
        int, typer.Option(help="Larger frames than 16:9 with this many lines are made smaller.", rich_help_panel=Input)
    ] = 720,
    bundle: Bundle = None,
    quiet: Quiet = False,
) -> None:
    """Let a browser use this machine: open the printed address, see your own face speak."""
    given = locals()
    _need_web()
    from realtime_dub.config import build
    from realtime_dub.web.config import ServeConfig
    from realtime_dub.web.server import serve as run_server

    run_server(build(ServeConfig, **given), typer.echo)


def _need_web() -> None:
    for name in ("aiohttp", "aiortc", "prometheus_client"):
        if find_spec(name) is None:
            raise DependencyError("the server needs", name, "pip install 'realtime-dub[web]'")


@app.command()
def devices() -> None:
    """List cameras, microphones, speakers and virtual cameras."""
    from realtime_dub.doctor import list_devices

    out = console()
    for title, found in list_devices().items():
        out.print(f"[bold]{title}[/bold]")
        for line in found:
            out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def doctor(
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    stun: Stun = None,
    turn: Turn = None,
    turn_user: TurnUser = None,
    turn_password: TurnPassword = None,
    public_ip: PublicIp = None,
    udp_ports: UdpPorts = None,
) -> None:
    """Check this machine, and say what to do if something is missing.

    With the network options of serve, doctor tests these too.
    """
    given = locals()
    from realtime_dub.config import build
    from realtime_dub.doctor import can_run, examine, examine_network, table
    from realtime_dub.web.config import ServeConfig

    config = build(ServeConfig, **{**given, "turn_password": turn_password if turn else None})
    checks = examine()
    if any(value is not None for name, value in given.items() if name != "turn_password"):
        checks += examine_network(config)
    console().print(table(checks))
    raise typer.Exit(0 if can_run(checks) else ConfigError.exit_code)


class _Progress:
    """A progress bar on standard error, called with (done, total); total is None where it is unknown."""

    def __init__(self, what: str, quiet: bool) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        terminal = console(stderr=True)
        # Where nobody watches it, all that a bar leaves is an empty line.
        self._bar = Progress(*columns, console=terminal, disable=quiet or not terminal.is_terminal, transient=True)
        self._task = self._bar.add_task(what, total=None)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, done: int, total: int | None) -> None:
        self._bar.update(self._task, completed=done, total=total)


def _refuse_live_options(context: typer.Context) -> None:
    """``realtime-dub --mic x file ...`` would silently do without the microphone."""
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise ConfigError(
            f"{option} stands before", f"{context.invoked_subcommand!r}", "write options after the command"
        )


def _show(report: Report, quiet: bool) -> None:
    if not quiet:
        console().print(report.table())
    if report.lost:
        raise LostOutput("; ".join(report.lost))


def _fail(message: str, code: int) -> int:
    _say(message)
    return code


def _say(message: str) -> None:
    """One red line on standard error; plain where even that cannot be had."""
    line = f"error: {one_line(message)}"
    try:
        from rich.text import Text

        console(stderr=True).print(Text(line, style="red"), soft_wrap=True)
    except Exception:
        print(line, file=sys.stderr)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code. Errors are one red line on standard error."""
    try:
        with signals.raised():
            code = app(args=arguments, prog_name="realtime-dub", standalone_mode=False)
    except RealtimeDubError as error:
        return _fail(str(error), error.exit_code)
    except USAGE_ERROR as error:
        return _fail(f"{error.format_message()} See realtime-dub --help.", ConfigError.exit_code)
    except ImportError as error:
        missing = DependencyError("cannot load", f"{error.name or 'a library'}: {error}", "run realtime-dub doctor")
        return _fail(str(missing), missing.exit_code)
    except signals.Terminated as error:
        return _fail("stopped", error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("stopped", INTERRUPTED)
    except Exception as error:
        line = FAULTS.line(error, "in the command")
        return _fail(line, faults.EXIT_CODE) if line is not None else faults.EXIT_CODE
    if code == INTERRUPTED:  # Typer's own answer to Ctrl-C
        return _fail("stopped", INTERRUPTED)
    return code if isinstance(code, int) else 0


def main() -> None:
    """The ``realtime-dub`` command."""
    standard_streams.settle()
    faults.catch_everything(FAULTS, _say)
    signals.never_lost()
    signals.only_in_a_run()
    code = run()
    if (why := standard_streams.why_output_is_lost()) is not None:
        code = max(code, _fail(f"cannot write to standard output: {why}", ConfigError.exit_code))
    code = code or (faults.EXIT_CODE if FAULTS.fatal else 0)
    signals.at_once(code)
    sys.exit(code)
