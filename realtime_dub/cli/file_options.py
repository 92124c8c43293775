"""The options of the commands on files, as ``options`` has those that others share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_dub.cli.options import Input, Mouth, Output, Picture

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
        help="The voice to speak: an audio file, video (the video's own audio), - (standard input: raw "
        "audio, or a file such as WAV, FLAC, Ogg or MP3), script:FILE (a text or subtitles that are said when the lips "
        "move; script:flite:FILE, script:piper:VOICE.onnx:FILE and script:hpm:FILE by others), or demo.",
        rich_help_panel=Input,
    ),
]
FileSpeaker = Annotated[
    Path | None,
    typer.Option(help="With --mic script: or for a script: somebody's voice, to be as high.", rich_help_panel=Input),
]
VoiceScript = Annotated[
    str | None, typer.Option(help="What is said, where the lips move.", show_default=False, rich_help_panel=Input)
]
VoiceSubtitles = Annotated[
    Path | None,
    typer.Option(help="What is said and when: an .srt or .vtt.", show_default=False, rich_help_panel=Input),
]
VoiceEmotion = Annotated[
    str | None, typer.Option(help="How it is said, such as happy.", show_default=False, rich_help_panel=Input)
]
VoiceLanguage = Annotated[
    str | None,
    typer.Option(
        help="The language of the script, such as en, es or hi.",
        show_default="by its letters, English for Latin ones",
        rich_help_panel=Input,
    ),
]
VoiceEngine = Annotated[
    str,
    typer.Option(
        help="What says it: tts (espeak-ng), flite, piper:VOICE.onnx, or hpm, a network that follows the lips.",
        rich_help_panel=Input,
    ),
]
VoiceOutput = Annotated[
    Path,
    typer.Option(
        "--output",
        "-o",
        help="The file to write: .wav, or .mp4 or .mkv for the film whose own mouth says it.",
        rich_help_panel=Output,
    ),
]
FileFps = Annotated[
    float,
    typer.Option("--fps", help="With a photo: frames per second of the result.", rich_help_panel=Picture),
]
FileStatic = Annotated[
    bool,
    typer.Option("--static", help="Use the video's first frame only, as a photo.", rich_help_panel=Input),
]
FileTeethUpper = Annotated[
    int | None,
    typer.Option(
        help="With own-texture: the frame of the film, from 0, whose upper teeth are used. Without it: found.",
        show_default=False,
        rich_help_panel=Mouth,
    ),
]
FileTeethLower = Annotated[
    int | None,
    typer.Option(help="The same for the lower teeth.", show_default=False, rich_help_panel=Mouth),
]
FileLineUpper = Annotated[
    int | None,
    typer.Option(
        help="The row of that frame's picture where the upper lip ends and teeth begin. Without it: from landmarks.",
        show_default=False,
        rich_help_panel=Mouth,
    ),
]
FileLineLower = Annotated[
    int | None,
    typer.Option(help="The same for the lower lip.", show_default=False, rich_help_panel=Mouth),
]
FileSteps = Annotated[
    str | None,
    typer.Option(
        help="With own-texture: make these steps alone, each with a file in OUTPUT.steps/ that the next ones read: "
        "features, shape, texture, retime, composite.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
FileRetime = Annotated[
    bool,
    typer.Option(
        "--retime",
        help="Play the film so that the head is quiet, and no eye blinks, where the voice pauses: some frames are "
        "shown for two. A film shorter than the voice plays back and forth.",
        rich_help_panel=Input,
    ),
]
FileBatch = Annotated[
    int | None,
    typer.Option(
        help="For engines that paint: how many frames go through the network together.",
        show_default="the engine's own",
        rich_help_panel=Mouth,
    ),
]
FileExtend = Annotated[
    bool,
    typer.Option(
        "--extend",
        help="If the voice is longer than the video, repeat the last frame until the voice ends. Without it: the "
        "result is as long as the video.",
        rich_help_panel=Output,
    ),
]
FileCrf = Annotated[
    int | None,
    typer.Option(help="Video quality: 0 = lossless, 18 = very good, 28 = small file.", rich_help_panel=Output),
]
FilePreset = Annotated[
    str | None,
    typer.Option(
        help="How much time to spend on a small file: ultrafast, veryfast, medium, slow.", rich_help_panel=Output
    ),
]
FileLandmarks = Annotated[
    Path | None,
    typer.Option(
        "--save-landmarks",
        help="Write the 68 landmarks of every frame with its new mouth: a .npz, a .csv, or a folder with a text for "
        "each frame.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
FilePreview = Annotated[
    Path | None,
    typer.Option(
        "--preview",
        "--draw",
        help="Write a video (.mp4 or .mkv) of the landmarks as lines.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
FileOpenness = Annotated[
    Path | None,
    typer.Option(
        "--openness",
        help="Write a plot (.png) of how far the mouth is open.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
OpennessResults = Annotated[
    list[Path],
    typer.Argument(metavar="RESULT...", help="What --save-landmarks has written; the first is compared with."),
]
OpennessPlot = Annotated[
    Path | None, typer.Option("--plot", help="Write the curves into an image (.png).", show_default=False)
]
BankInput = Annotated[str, typer.Argument(metavar="INPUT", help="A video in which you speak, about a minute.")]
BankConsent = Annotated[
    str | None,
    typer.Option(
        "--consent",
        help="Who confirmed that this face may be dubbed. It is recorded in the file, with the time.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
BankOutput = Annotated[Path, typer.Option("--output", "-o", help="The mouth bank to write, such as me.bank.")]
