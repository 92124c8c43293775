"""A live run: what the program does without a command."""

from __future__ import annotations

import typer

from realtime_dub.cli.credential_options import Credentials, SignCert, SignerUrl, SignKey, Tsa
from realtime_dub.cli.options import (
    AudioStream,
    Backdrop,
    Backend,
    Background,
    Badge,
    BadgePlace,
    BadgeSize,
    BadgeWord,
    Bundle,
    CameraLate,
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
    LiveBudgetMs,
    LiveFps,
    LiveHeight,
    LiveLoop,
    LiveMic,
    LiveOwnMic,
    LiveScript,
    LiveSize,
    LiveSpeaker,
    LiveTo,
    LiveVersion,
    LiveWebcam,
    LiveWidth,
    LookAhead,
    Marks,
    Notice,
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
from realtime_dub.cli.output import show, state_rule
from realtime_dub.cli.sizes import size_of
from realtime_dub.errors import ConfigError
from realtime_dub.inference import AUTO
from realtime_dub.mouth import registry
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.trust.badge_style import WORD


def live(
    context: typer.Context,
    webcam: LiveWebcam = "0",
    camera_late: CameraLate = 0,
    mic: LiveMic = "default",
    own_mic: LiveOwnMic = None,
    script: LiveScript = None,
    speaker_id: SpeakerId = None,
    to: LiveTo = None,
    speaker: LiveSpeaker = None,
    budget_ms: LiveBudgetMs = None,
    size: LiveSize = "auto",
    width: LiveWidth = None,
    height: LiveHeight = None,
    fps: LiveFps = None,
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
    loop: LiveLoop = False,
    notice: Notice = "off",
    badge: Badge = "corner",
    badge_place: BadgePlace = "top-left",
    badge_size: BadgeSize = 5,
    badge_word: BadgeWord = WORD,
    encoder: Encoder = "software",
    marks: Marks = "on",
    codec: Codec = "h264",
    seconds: Seconds = None,
    stats_json: StatsJson = None,
    contact_sheet: Sheet = None,
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
    version: LiveVersion = False,
) -> None:
    given = {name: value for name, value in locals().items() if name not in ("context", "version", "size")}
    if context.invoked_subcommand is not None:
        _refuse_live_options(context)
        return
    from realtime_dub.config import LiveConfig, build

    given["camera_late_ms"] = given.pop("camera_late")
    asked = {name: given.pop(name) for name in ("width", "height", "fps")}
    asked = {name: value for name, value in asked.items() if value is not None} | _size(size, asked)
    config = build(LiveConfig, **{**given, **asked, "to": tuple(to or ())})
    from realtime_dub.pipeline.live.run import run_live

    state_rule(quiet)
    show(run_live(config), quiet)


def _size(text: str, asked: dict[str, float | None]) -> dict[str, int]:
    """Width and height that ``text`` means; nothing for auto. Raises ConfigError."""
    if text != "auto" and (asked["width"] is not None or asked["height"] is not None):
        raise ConfigError("cannot use --size", f"{text!r} beside --width and --height", "give one of them")
    return size_of(text)


def _refuse_live_options(context: typer.Context) -> None:
    """``realtime-dub --mic x file ...`` would silently do without the microphone."""
    given = [name for name in context.params if str(context.get_parameter_source(name)).endswith("COMMANDLINE")]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise ConfigError(
            f"{option} stands before", f"{context.invoked_subcommand!r}", "write options after the command"
        )
