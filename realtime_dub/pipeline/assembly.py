"""The one place where the parts of a run meet: the live loop, the file loop and the studio are put together here.

Registries name their members and load them when asked; what has no registry and loads large libraries is imported where
it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from realtime_dub.clock import Clock
from realtime_dub.config import FileConfig, LiveConfig, OnOff, colour_of
from realtime_dub.errors import ConfigError
from realtime_dub.face.types import FaceTracker
from realtime_dub.face.unlooked import Unlooked
from realtime_dub.fitting import Size
from realtime_dub.inference import AUTO
from realtime_dub.media import Image, OutputFormat, VideoInfo, VoiceInfo
from realtime_dub.mouth import registry
from realtime_dub.mouth.contract import LearnsOwnVoice, MouthGenerator
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence, for_voice
from realtime_dub.mouth.steps import Steps
from realtime_dub.paths import is_missing
from realtime_dub.pipeline.contracts import Compositor, ContactSheet
from realtime_dub.pipeline.live.executor import ThreadExecutor
from realtime_dub.pipeline.live.inputs import StartsWith, ThreadedInputs
from realtime_dub.pipeline.live.loop import LiveParts, LivePipeline
from realtime_dub.pipeline.live.outputs import PublisherThread
from realtime_dub.pipeline.live.own_mic import OwnMic
from realtime_dub.pipeline.live.turns import Rank, Turns
from realtime_dub.pipeline.marking import Marks, payload_of_today
from realtime_dub.pipeline.precedence import Place
from realtime_dub.pipeline.statistics import Recorder
from realtime_dub.pipeline.timing import LiveSettings, Timing
from realtime_dub.publishers.base import HasAddress, Publisher, ReadsVoice, ReadVoice
from realtime_dub.publishers.registry import open_publisher
from realtime_dub.sources import voices
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.sources.pcm_stdin import PcmFormat
from realtime_dub.sources.registry import kind_of, open_video
from realtime_dub.sources.stream_choice import SoundChoice
from realtime_dub.trust.badge_style import USUAL, BadgeStyle
from realtime_dub.trust.notice import Notice, chime
from realtime_dub.voice import registry as made_voices
from realtime_dub.voice.contract import VoiceFromVideo

AVATAR = "avatar"  # the kind of picture source
AnyConfig = TypeVar("AnyConfig", LiveConfig, FileConfig)

__all__ = ["open_publisher", "open_video"]  # with what is defined here: all that makes parts


def make_generator(config: LiveConfig | FileConfig) -> MouthGenerator:
    return registry.create(
        config.engine,
        bundle=config.bundle,
        identity=config.identity,
        strength=None if config.strength == 1 else config.strength,
        look_ahead_ms=_look_ahead_of(config),
        backend=None if config.backend == AUTO else config.backend,
        learn=None if config.learn == "on" else False,
        silence=_silence_of(config),
        quality=None if config.quality == AUTO_QUALITY else config.quality,
        pads=config.pads,
        translator=config.translator,
        denoiser=config.denoiser,
        head=config.head,
        backdrop=None if config.backdrop is None else backdrop_of(config.backdrop),
        size=_size_of(config),
        enhance=config.enhance or None,
        enhancer=config.enhancer,
        teeth_upper=config.teeth_upper,
        teeth_lower=config.teeth_lower,
        line_upper=config.line_upper,
        line_lower=config.line_lower,
        steps=steps_of(config),
    )


def notice_of(text: str, rate: int) -> Notice | None:
    """What ``--notice`` means, at ``rate`` Hz. Raises DependencyError without espeak-ng."""
    if text == "off":
        return None
    if text == "chime":
        return Notice(chime(rate), rate)
    import soxr

    from realtime_dub.voice.contract import Wish
    from realtime_dub.voice.tts.by_espeak import open_espeak

    said = open_espeak("", Wish()).speak(text.removeprefix("spoken:"), 1.0)
    return Notice(soxr.resample(said.samples, said.rate, rate), rate)


def backdrop_of(text: str) -> Image:
    """What ``--backdrop`` means: the picture in a file, else one pixel of a colour. Raises ConfigError, MediaError."""
    if not is_missing(text):
        from realtime_dub.sources.stills import bytes_of, read_still

        return read_still(bytes_of(Path(text)), text)[0]
    try:
        return np.array([[colour_of(text)]], np.uint8)
    except ValueError:
        do = "give the name of a picture or of a colour, such as white or #rrggbb"
        raise ConfigError("cannot use --backdrop", repr(text), do) from None


def _size_of(config: LiveConfig | FileConfig) -> Size | None:
    """Of a picture that is made here and is an avatar's; None as it was recorded, or as what it is shown over."""
    picture = config.webcam if isinstance(config, LiveConfig) else config.input
    return (config.width, config.height) if config.size_asked and kind_of(picture) == AVATAR else None


def steps_of(config: LiveConfig | FileConfig) -> Steps | None:
    """What is made of a film of the way from a voice to it; None = all of it, and no files beside it."""
    if not isinstance(config, FileConfig) or config.steps is None:
        return None
    return Steps.of(config.steps, config.output)


def _silence_of(config: LiveConfig | FileConfig) -> Silence | None:
    """What was asked for; where that is auto, engines that have the choice rest under a voice that is another's."""
    if config.silence != AUTO_SILENCE:
        return config.silence
    takes = "silence" in registry.engine(config.engine).options
    return for_voice(AUTO_SILENCE, speaks_for_another(config)) if takes else None


def speaks_for_another(config: LiveConfig | FileConfig) -> bool:
    """The voice surely is not that of the face: only a camera's microphone and a film's own audio can be.

    Whoever speaks into a microphone beside it has another speak for them.
    """
    if isinstance(config, LiveConfig) and config.own_mic is not None:
        return True
    if config.mic == "video":
        return False
    if isinstance(config, FileConfig) or kind_of(config.webcam) not in ("webcam", "url"):
        return True
    return config.mic.startswith((made_voices.PREFIX, *made_voices.SCRIPTS)) or not voices.is_microphone(config.mic)


def whose_voice(config: LiveConfig | FileConfig) -> str:
    """As content credentials say it."""
    if config.mic.startswith((made_voices.PREFIX, *made_voices.SCRIPTS)):
        return "synthetic"
    return "another's" if speaks_for_another(config) else "own"


def _look_ahead_of(config: LiveConfig | FileConfig) -> int | None:
    """What was asked for; else a live mouth waits for the usual time, and a file's as long as there is a net for."""
    if config.look_ahead is not None or config.bundle is not None or isinstance(config, LiveConfig):
        return config.look_ahead
    if "look_ahead_ms" not in registry.engine(config.engine).options:  # it has one alone
        return None
    from realtime_dub.inference.bundle import longest_look_ahead

    return longest_look_ahead(config.engine)


def open_voice(spec: str, script: str | None = None, speaker_id: int | None = None, **options: Any) -> VoiceSource:
    """The voice ``spec`` means, still to be opened: made of the picture, of a script, or of ``sources/voices.py``.

    ``script``: where the lines of ``tts:`` come from, ``speaker_id``: of its voice; a film's is
    ``file/script_voice.py``.
    """
    if spec.startswith(made_voices.SCRIPTS):
        return _script_voice(spec, script, speaker_id, **options)
    if spec.startswith(made_voices.PREFIX):
        return made_voices.open_voice_from_video(spec)
    return voices.open_voice(spec, **options)


def _script_voice(spec: str, script: str | None, speaker_id: int | None, **options: Any) -> VoiceSource:
    """Live it is spoken as its lines come. Raises ConfigError for a film, whose lips have to be seen first."""
    kind, _, argument = spec.partition(":")
    if kind == "script" or not options["live"]:
        do = "say --mic script:line.txt for a file, and --mic tts: for a live run"
        raise ConfigError("cannot use", f"--mic {spec} here", do)
    from realtime_dub.sources.paced_voice import PacedVoice
    from realtime_dub.voice.tts.live import LiveScript

    return PacedVoice(LiveScript(script or "-", argument, speaker_id), options["clock"])


def with_avatar(config: AnyConfig, picture: str) -> AnyConfig:
    """As ``config`` has it; where the ``picture`` is an avatar, with the engine that shows it and its networks.

    Raises ConfigError where another engine or bundle is asked for.
    """
    if kind_of(picture) != AVATAR:
        return config
    if config.engine not in (registry.DEFAULT, registry.OF_AVATARS):
        raise ConfigError(f"cannot use --engine {config.engine} with", f"the avatar {picture}", "leave it out")
    if config.bundle is not None:
        raise ConfigError("cannot use --bundle with", f"the avatar {picture}", "leave it out: it has its own")
    return config.model_copy(update={"engine": registry.OF_AVATARS, "bundle": Path(picture)})


def tracker_for(config: LiveConfig | FileConfig, at_once: bool) -> FaceTracker:
    """What finds the face that the engine of ``config`` needs; nothing is looked for where it needs none."""
    return tracker_of(config.engine, config.face, at_once)


def tracker_of(name: str, face: str, at_once: bool) -> FaceTracker:
    """What finds the ``face`` that engine ``name`` needs."""
    engine = registry.engine(name)
    if engine.output == "frame" and not engine.needs_live_face:
        return Unlooked()
    return make_tracker(face, at_once)


def make_tracker(face: str, at_once: bool) -> FaceTracker:
    """``face``: which of several; ``at_once``: take the time that a whole search of a frame needs."""
    from realtime_dub.face.tracker import MediaPipeTracker

    return MediaPipeTracker(face, at_once=at_once)


def make_compositor() -> Compositor:
    from realtime_dub.blend import composite

    return composite.Compositor()


def make_marks(wanted: OnOff) -> Marks | None:
    """What marks the frames and the voice of one run; None where none is wanted."""
    return Marks(payload_of_today()) if wanted == "on" else None


def video_options(config: LiveConfig | FileConfig) -> dict[str, Any]:
    """How frames are to be read: what is behind them, which of several streams, at what size an avatar is shown."""
    return {"background": config.background_bgr, "stream": config.video_stream, "shown": _size_of(config)}


def voice_options(config: LiveConfig | FileConfig) -> dict[str, Any]:
    """The shape of raw audio on standard input, and which of several streams of a file. Raises ConfigError."""
    if config.mic.startswith(made_voices.SCRIPTS):
        return {"script": config.script, "speaker_id": config.speaker_id} if isinstance(config, LiveConfig) else {}
    if isinstance(config, LiveConfig) and config.script is not None:
        raise ConfigError("cannot use --script with", f"--mic {config.mic}", "say --mic tts:")
    if config.speaker_id is not None:
        raise ConfigError("cannot use --speaker-id with", f"--mic {config.mic}", "say --mic tts:piper:VOICE.onnx")
    if isinstance(config, FileConfig) and config.speaker is not None:
        raise ConfigError("cannot use --speaker with", f"--mic {config.mic}", "say --mic script:line.txt")
    pcm = PcmFormat(config.pcm_rate, config.pcm_channels, config.pcm_format) if config.mic == "-" else None
    if config.audio_stream is None and config.language is None:
        return {"pcm": pcm}
    if config.audio_stream is not None and config.language is not None:
        raise ConfigError("cannot choose a sound by", "--audio-stream and --language", "give one of them")
    return {"pcm": pcm, "choice": SoundChoice(config.audio_stream, config.language)}


@dataclass(frozen=True, eq=False)
class LiveMembers:
    """The parts of a live run that differ from one to the next; made, not opened."""

    video: VideoSource
    voice: VoiceSource
    tracker: FaceTracker
    generator: MouthGenerator
    publishers: Sequence[Publisher]
    voice_starts_with: StartsWith = "itself"
    own_voice: VoiceSource | None = None  # the person's, beside another's that is dubbed: to learn from
    place: Place | None = None  # among the runs that one machine serves
    marks: Marks | None = None
    badge: BadgeStyle = USUAL  # that tells people
    notice: str = "off"  # as LiveConfig has it


def learns_own(generator: MouthGenerator) -> bool:
    """It learns how a person talks from their own voice."""
    return isinstance(generator, LearnsOwnVoice) and generator.learns_own


def assemble_live(
    members: LiveMembers,
    settings: LiveSettings,
    clock: Clock,
    recorder: Recorder,
    stack: ExitStack,
    sheet: ContactSheet | None = None,
) -> LivePipeline:
    """Open everything in the order in which it costs least to find out that it cannot be, each with its close on
    ``stack``. Raises UserError, BudgetTooSmall where the times do not add up.
    """
    assembly = _LiveAssembly(members, clock, recorder, stack)
    pipeline = assembly.make(settings, sheet)
    assembly.open_outputs(pipeline)
    return pipeline


class _LiveAssembly:
    def __init__(self, members: LiveMembers, clock: Clock, recorder: Recorder, stack: ExitStack) -> None:
        self._members, self._clock, self._recorder, self._stack = members, clock, recorder, stack
        self._turns = Turns(clock)
        self._pipeline: LivePipeline | None = None

    def make(self, settings: LiveSettings, sheet: ContactSheet | None) -> LivePipeline:
        members, clock = self._members, self._clock
        compositor = make_compositor()
        self._picture, self._voice = self._open_sources(settings)
        own_mic = None if members.own_voice is None else self._open_own(members.own_voice)
        self._timing = Timing.of(settings, self._voice, members.generator, members.publishers)
        self._recorder.runs(self._timing.plan.budget_ns, members.generator, str(members.badge))
        self._outputs = [self._output(each) for each in members.publishers]
        parts = LiveParts(
            self._inputs(),
            self._outputs,
            members.generator,
            compositor,
            self._executor("engine", Rank.ENGINE),
            self._executor("composer", Rank.COMPOSER),
            sheet,
            own_mic=own_mic,
            place=members.place,
            marks=members.marks,
            badge=members.badge,
            notice=notice_of(members.notice, self._voice.rate),
        )
        self._pipeline = LivePipeline(clock, parts, self._voice, self._timing, self._recorder)
        return self._pipeline

    def open_outputs(self, pipeline: LivePipeline) -> None:
        """Last, and after the pipeline is there: a speaker asks for the voice from the moment it is open."""
        for output in self._outputs:
            publisher = output.publisher
            if isinstance(publisher, ReadsVoice):
                publisher.attach(self._read_voice(pipeline))
            output.open(self._format())
            if isinstance(publisher, ReadsVoice):
                pipeline.voice.leave(self._timing.speaker_room_ns(publisher, self._voice))
            if isinstance(publisher, HasAddress) and publisher.address is not None:
                print(f"watch at {publisher.address}", flush=True)  # also where quiet: nobody could find it otherwise

    def _read_voice(self, pipeline: LivePipeline) -> ReadVoice:
        marks = self._members.marks
        return pipeline.read_voice if marks is None else marks.reader(pipeline.read_voice, self._voice.rate)

    def _open_sources(self, settings: LiveSettings) -> tuple[VideoInfo, VoiceInfo]:
        video, voice = self._members.video, self._members.voice
        self._stack.callback(video.close)
        picture = video.open()
        self._stack.callback(voice.close)
        heard = voice.open()
        if isinstance(voice, VoiceFromVideo):  # its frames have to be there first
            heard = replace(heard, block_ns=heard.block_ns + settings.seen_ns)
        return picture, heard

    def _inputs(self) -> ThreadedInputs:
        of = self._members
        starts_with, own_voice = of.voice_starts_with, of.own_voice
        return ThreadedInputs(of.video, of.voice, of.tracker, self._clock, starts_with, own_voice, self._turns)

    def _open_own(self, voice: VoiceSource) -> OwnMic:
        """Raises ConfigError for a generator that would learn nothing from it."""
        generator = self._members.generator
        if not isinstance(generator, LearnsOwnVoice) or not learns_own(generator):
            what = f"--own-mic: {generator.name} ({generator.bundle}) does not learn how a person talks"
            raise ConfigError("nothing would be learnt from", what, "leave it out, or --learn off")
        self._stack.callback(voice.close)
        return OwnMic(voice.open(), generator)

    def _output(self, publisher: Publisher) -> PublisherThread:
        output = PublisherThread(publisher, self._clock, self._recorder, self._failed)
        self._stack.callback(output.close)
        return output

    def _executor(self, name: str, rank: Rank) -> ThreadExecutor:
        executor = ThreadExecutor(name, self._clock, self._turns, rank)
        self._stack.callback(executor.close)
        return executor

    def _format(self) -> OutputFormat:
        picture, voice = self._picture, self._voice
        frames = picture.width, picture.height, self._timing.fps
        colours = picture.full_range, picture.hd
        return OutputFormat(*frames, voice.rate, voice.channels, True, *colours, self._members.badge.corner)

    def _failed(self, name: str, error: Exception) -> None:
        if self._pipeline is not None:
            self._pipeline.on_failed(name, error)
