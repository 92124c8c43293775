"""Commands that work on files, and with engines."""

from __future__ import annotations

import typer

from realtime_dub.cli.credential_options import Credentials, SignCert, SignerUrl, SignKey, Tsa
from realtime_dub.cli.file_options import (
    BankConsent,
    BankInput,
    BankOutput,
    FileBatch,
    FileCrf,
    FileExtend,
    FileFps,
    FileInput,
    FileLandmarks,
    FileLineLower,
    FileLineUpper,
    FileMic,
    FileOpenness,
    FileOutput,
    FilePreset,
    FilePreview,
    FileRetime,
    FileSpeaker,
    FileStatic,
    FileSteps,
    FileTeethLower,
    FileTeethUpper,
    OpennessPlot,
    OpennessResults,
)
from realtime_dub.cli.options import (
    AudioStream,
    AvatarSize,
    Backdrop,
    Backend,
    Background,
    Badge,
    BadgePlace,
    BadgeSize,
    BadgeWord,
    Bundle,
    Codec,
    Denoiser,
    Encoder,
    Engine,
    Enhance,
    Enhancer,
    Face,
    Head,
    Identity,
    Language,
    Learn,
    LookAhead,
    Marks,
    Pads,
    PcmChannels,
    PcmFormat,
    PcmRate,
    Quality,
    Quiet,
    Seconds,
    Sheet,
    Silence,
    SpeakerId,
    StatsJson,
    Strength,
    Translator,
    VideoStream,
)
from realtime_dub.cli.output import ProgressBar, show, state_rule
from realtime_dub.cli.sizes import shown_size
from realtime_dub.errors import ConfigError
from realtime_dub.inference import AUTO
from realtime_dub.mouth import registry
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.terminal import console
from realtime_dub.trust.badge_style import WORD


def dub_file(
    input: FileInput,
    output: FileOutput,
    mic: FileMic = "video",
    speaker: FileSpeaker = None,
    speaker_id: SpeakerId = None,
    extend: FileExtend = False,
    retime: FileRetime = False,
    steps: FileSteps = None,
    static: FileStatic = False,
    fps: FileFps = 25,
    crf: FileCrf = None,
    preset: FilePreset = None,
    encoder: Encoder = "software",
    marks: Marks = "on",
    size: AvatarSize = "auto",
    codec: Codec = "h264",
    background: Background = "black",
    face: Face = "largest",
    engine: Engine = registry.DEFAULT,
    bundle: Bundle = None,
    backend: Backend = AUTO,
    identity: Identity = None,
    strength: Strength = 1.0,
    look_ahead: LookAhead = None,
    learn: Learn = "on",
    silence: Silence = AUTO_SILENCE,
    quality: Quality = AUTO_QUALITY,
    pads: Pads = None,
    translator: Translator = None,
    denoiser: Denoiser = None,
    head: Head = None,
    backdrop: Backdrop = None,
    enhance: Enhance = False,
    enhancer: Enhancer = None,
    teeth_upper: FileTeethUpper = None,
    teeth_lower: FileTeethLower = None,
    line_upper: FileLineUpper = None,
    line_lower: FileLineLower = None,
    batch: FileBatch = None,
    badge: Badge = "corner",
    badge_place: BadgePlace = "top-left",
    badge_size: BadgeSize = 5,
    badge_word: BadgeWord = WORD,
    seconds: Seconds = None,
    stats_json: StatsJson = None,
    contact_sheet: Sheet = None,
    save_landmarks: FileLandmarks = None,
    preview: FilePreview = None,
    openness: FileOpenness = None,
    credentials: Credentials = "on",
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    signer: SignerUrl = None,
    tsa: Tsa = None,
    pcm_rate: PcmRate = 16_000,
    pcm_channels: PcmChannels = 1,
    pcm_format: PcmFormat = "s16le",
    video_stream: VideoStream = None,
    audio_stream: AudioStream = None,
    language: Language = None,
    quiet: Quiet = False,
) -> None:
    """Dub a video file or a photo, as fast as the machine goes."""
    given = {name: value for name, value in locals().items() if name != "size"}
    from realtime_dub.config import FileConfig, build

    config = build(FileConfig, **given, **shown_size(size, input))
    from realtime_dub.pipeline.file.run import run_file

    state_rule(quiet)
    with ProgressBar("dubbing", quiet) as progress:
        report = run_file(config, progress.called("dubbing"), progress.called)
    show(report, quiet)


def make_bank(
    input: BankInput,
    output: BankOutput,
    face: Face = "largest",
    engine: Engine = registry.DEFAULT,
    learn: Learn = "on",
    consent: BankConsent = None,
    quiet: Quiet = False,
) -> None:
    """Learn from a video how you look and talk, for --identity."""
    from realtime_dub.pipeline.file.enrolment import enroll

    state_rule(quiet)
    with ProgressBar("looking", quiet) as progress:
        learns = on_or_off("--learn", learn)
        learning = progress.called("learning how you talk")
        summary = enroll(
            input,
            output,
            engine=engine,
            face=face,
            learn=learns,
            consent=consent,
            progress=progress,
            learning=learning,
        )
    if not quiet:
        typer.echo(summary)


def on_or_off(option: str, value: str) -> bool:
    """Raises ConfigError for anything else."""
    if value not in ("on", "off"):
        raise ConfigError(f"cannot use {option}", repr(value), "give on or off")
    return value == "on"


def compare_openness(results: OpennessResults, plot: OpennessPlot = None) -> None:
    """Compare how far mouths open over time: several results of one voice, each against the first."""
    from rich.table import Table

    from realtime_dub.pipeline.openness import compare

    table = Table("", "made of", "r", "best r", "at", "opens by")
    for row in compare(results, plot):
        table.add_row(*row)
    console().print(table)


def list_engines() -> None:
    """List the engines that there are, and what each can do."""
    from rich.table import Table

    table = Table()
    table.add_column("engine", no_wrap=True)
    for title in ("what it shows", "takes"):
        table.add_column(title)
    for name in registry.names():
        each = registry.engine(name)
        options = " ".join(text for option, text in registry.OPTIONS.items() if option in each.options)
        table.add_row(name, each.summary, options)
    console().print(table)
