"""The commands of avatars: have the person of a recording say anything, and put an avatar into one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_dub.cli.credential_options import Credentials, SignCert, SignerUrl, SignKey, Tsa
from realtime_dub.cli.file_options import FileCrf, FileFps, FilePreset
from realtime_dub.cli.options import (
    AvatarSize,
    Backdrop,
    Backend,
    Encoder,
    Enhance,
    Enhancer,
    Head,
    Input,
    Mouth,
    Output,
    Quiet,
    Seconds,
    StatsJson,
    Strength,
)
from realtime_dub.cli.output import ProgressBar, show
from realtime_dub.cli.sizes import size_of
from realtime_dub.inference import AUTO

AvatarVideo = Annotated[
    Path,
    typer.Option(help="A recording of one person who talks: 3 minutes and more.", rich_help_panel=Input),
]
AvatarMic = Annotated[
    str,
    typer.Option(help="The voice to speak: an audio file, - (standard input), or demo.", rich_help_panel=Input),
]
AvatarOutput = Annotated[
    Path, typer.Option("--output", "-o", help="The file to write: .mp4 or .mkv.", rich_help_panel=Output)
]
AvatarFolder = Annotated[
    Path | None,
    typer.Option(
        "--avatar",
        help="The avatar's folder. If it is there, it is used; if not, it is made.",
        show_default="the recording's name with .avatar",
        rich_help_panel=Mouth,
    ),
]


def speak_as(
    video: AvatarVideo,
    mic: AvatarMic,
    output: AvatarOutput,
    avatar: AvatarFolder = None,
    head: Head = None,
    backdrop: Backdrop = None,
    size: AvatarSize = "auto",
    enhance: Enhance = False,
    enhancer: Enhancer = None,
    strength: Strength = 1.0,
    backend: Backend = AUTO,
    fps: FileFps = 25,
    crf: FileCrf = None,
    preset: FilePreset = None,
    encoder: Encoder = "software",
    seconds: Seconds = None,
    stats_json: StatsJson = None,
    credentials: Credentials = "on",
    sign_cert: SignCert = None,
    sign_key: SignKey = None,
    signer: SignerUrl = None,
    tsa: Tsa = None,
    quiet: Quiet = False,
) -> None:
    """Have the person of a recording say a voice: trains their avatar first, which takes up to an hour."""
    given = {name: value for name, value in locals().items() if name not in ("video", "avatar", "size")}
    from realtime_dub.config import FileConfig, build

    folder = video.with_suffix(".avatar") if avatar is None else avatar
    config = build(FileConfig, **given, **size_of(size), input=str(folder))
    from realtime_dub.pipeline.file.avatars import ensure

    ensure(video, folder, config)
    from realtime_dub.pipeline.file.run import run_file

    with ProgressBar("speaking", quiet) as progress:
        report = run_file(config, progress)
    show(report, quiet)


PackedFolder = Annotated[Path, typer.Argument(metavar="AVATAR", help="The avatar's folder.")]
PackedOutput = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="The file to write.", show_default="the folder's name with .zip"),
]


def pack_avatar(avatar: PackedFolder, output: PackedOutput = None) -> None:
    """Put an avatar into one file, as the studio takes it: what shows the person, without the recording."""
    from realtime_dub.mouth.avatar.packed import MOST, pack
    from realtime_dub.paths import Use, refuse_clashes

    out = avatar.with_name(f"{avatar.name}.zip") if output is None else output
    refuse_clashes([Use(out, "--output")], [Use(avatar / name, "AVATAR") for name in MOST])
    pack(avatar, out)
    typer.echo(f"packed: {out}")
