"""The options of the commands: what each is called, what its help says and under which heading."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from realtime_dub import __version__

Input, Picture, Mouth, Output = "Input", "Video", "Mouth", "Output"
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
        help="What runs the network: auto, cpu, cuda, tensorrt, tensorrt-rtx, torch-tensorrt, torch-aot, or another "
        "one. auto takes what export-engine measured to be the best here.",
        rich_help_panel=Mouth,
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
Learn = Annotated[
    str,
    typer.Option(help="Learn how you talk while you speak with your own voice: on or off.", rich_help_panel=Mouth),
]
Marks = Annotated[
    str,
    typer.Option(
        help="Mark what is dubbed so that `realtime-dub inspect` finds it, unseen and unheard: on or off.",
        rich_help_panel=Output,
    ),
]
Silence = Annotated[
    str,
    typer.Option(
        help="What the mouth does while the voice is silent: live = as in your camera, rest = it is shut, auto = live "
        "if the voice is the person's own, rest if it is another's.",
        rich_help_panel=Mouth,
    ),
]
Quality = Annotated[
    str,
    typer.Option(
        help="How much detail a large mouth is drawn with: low, medium, high, or auto = high, but low while the "
        "machine is too slow for that.",
        rich_help_panel=Mouth,
    ),
]
Encoder = Annotated[
    str,
    typer.Option(
        help="What encodes H.264 for files and network streams: software, nvenc, videotoolbox, qsv, amf, or auto = one "
        "in hardware that works here, else software.",
        rich_help_panel=Output,
    ),
]
Codec = Annotated[
    str,
    typer.Option(
        help="What films are written in: h264, or without the GPL and patents vp9, av1 (.mp4, .mkv) or mjpeg (.mov, "
        ".mkv).",
        rich_help_panel=Output,
    ),
]
Badge = Annotated[
    str,
    typer.Option(
        help="The badge that tells who watches that a mouth is made: corner = while the picture is dubbed, always = in "
        "every frame, off = none. Then tell them yourself.",
        rich_help_panel=Output,
    ),
]
BadgePlace = Annotated[
    str,
    typer.Option(help="Its corner: top-left, top-right, bottom-left, bottom-right.", rich_help_panel=Output),
]
BadgeSize = Annotated[
    float, typer.Option(help="Its height, in percent of the frame's: 2 to 20.", rich_help_panel=Output)
]
BadgeWord = Annotated[
    str, typer.Option(help="What stands beside the letters AI, in your viewers' language.", rich_help_panel=Output)
]
Notice = Annotated[
    str,
    typer.Option(
        help="What is heard at the start, over the voice: chime, or spoken:TEXT (by espeak-ng). No mouth moves to it.",
        rich_help_panel=Output,
    ),
]
Pads = Annotated[
    str | None,
    typer.Option(
        help="For engines that paint: what is added to the box around the face, in percent of it: top, bottom, left, "
        "right, such as 0,10,0,0. Without it: as the bundle says.",
        show_default=False,
        rich_help_panel=Mouth,
    ),
]
Translator = Annotated[
    Path | None,
    typer.Option(
        help="With landmark-dub: a folder that train-engine face-translator has made of a film of this person. Its "
        "network paints their mouth. Without it: the live face is bent.",
        show_default=False,
        rich_help_panel=Mouth,
    ),
]
Backdrop = Annotated[
    str | None,
    typer.Option(
        help="With avatar: what is behind the person, a colour or a picture's name.",
        show_default="as recorded",
        rich_help_panel=Mouth,
    ),
]
Enhance = Annotated[
    bool,
    typer.Option("--enhance", help="With avatar: crisper faces, by a filter of ours.", rich_help_panel=Mouth),
]
Enhancer = Annotated[
    Path | None,
    typer.Option(
        help="With avatar: crisper faces, by a network that import-engine gfpgan has made a bundle of.",
        show_default="none",
        rich_help_panel=Mouth,
    ),
]
AvatarSize = Annotated[
    str,
    typer.Option(help="With avatar: 480p, 720p, 1080p, WIDTHxHEIGHT, or auto = as recorded.", rich_help_panel=Picture),
]
Head = Annotated[
    str | None,
    typer.Option(
        help="With avatar: how the head moves. auto: by its own network, where there is one; recorded: as in the "
        "recording, back and forth.",
        show_default="auto",
        rich_help_panel=Mouth,
    ),
]
Denoiser = Annotated[
    Path | None,
    typer.Option(
        help="With --translator: a folder that train-engine face-translator --stage denoiser has made. Its network "
        "smooths what was painted.",
        show_default=False,
        rich_help_panel=Mouth,
    ),
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


# Of one command alone.
LiveWebcam = Annotated[
    str,
    typer.Option(
        help="The camera: its number or path. Also a video file, a photo, an rtsp:// or http:// address, or demo.",
        rich_help_panel=Input,
    ),
]
SpeakerId = Annotated[
    int | None,
    typer.Option(help="Which speaker of a piper voice that says a script.", show_default=False, rich_help_panel=Input),
]
CameraLate = Annotated[
    float,
    typer.Option(
        help="How many ms after it was taken a picture of the camera comes. Each run in which you are seen and heard "
        "says at its end how late that is against the microphone. The delay grows by as much.",
        rich_help_panel=Input,
    ),
]
LiveMic = Annotated[
    str,
    typer.Option(
        help="The voice to speak: default, an audio device's name or number, an audio file, video (the video "
        "file's own audio), - (standard input: raw audio, or a file such as WAV, FLAC, Ogg or MP3), tts: (lines that "
        "you type; tts:es in Spanish, tts:flite and tts:piper:VOICE.onnx by others), or demo.",
        rich_help_panel=Input,
    ),
]
LiveOwnMic = Annotated[
    str | None,
    typer.Option(
        "--own-mic",
        help="Your own microphone if --mic is another's voice, such as an interpreter's: the program learns from it "
        "how you talk. A device's name or number, or default. It is not published.",
        show_default=False,
        rich_help_panel=Input,
    ),
]
LiveScript = Annotated[
    str | None,
    typer.Option(
        "--script",
        help="With --mic tts:: the text that is spoken, a file, or - for lines typed or piped in; Ctrl-D ends.",
        show_default="-",
        rich_help_panel=Input,
    ),
]
LiveTo = Annotated[
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
]
LiveSpeaker = Annotated[
    str | None,
    typer.Option(
        help="Play the voice, delayed to match the video, to this audio device: its name, number or default.",
        rich_help_panel=Output,
    ),
]
LiveBudgetMs = Annotated[
    float | None,
    typer.Option(
        help="The delay from capture to output, in milliseconds. Without it: the shortest that this machine can "
        "keep. A budget that is too short is refused, with a table that says why.",
        show_default=False,
        rich_help_panel=Output,
    ),
]
LiveSize = Annotated[
    str,
    typer.Option(
        help="What to ask the camera for: 480p, 720p, 1080p, WIDTHxHEIGHT, or auto = 1280x720 at 30 frames a second if "
        "this machine can make mouths that fast, else 640x480 at 25.",
        rich_help_panel=Picture,
    ),
]
LiveWidth = Annotated[
    int | None,
    typer.Option(
        help="Frame width to ask the camera for, in pixels.", show_default="see --size", rich_help_panel=Picture
    ),
]
LiveHeight = Annotated[
    int | None,
    typer.Option(
        help="Frame height to ask the camera for, in pixels.", show_default="see --size", rich_help_panel=Picture
    ),
]
LiveFps = Annotated[
    float | None,
    typer.Option(help="Frames per second to ask the camera for.", show_default="see --size", rich_help_panel=Picture),
]
LiveLoop = Annotated[
    bool, typer.Option("--loop", help="Start a video or audio file again when it ends.", rich_help_panel=Input)
]
LiveVersion = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
]
