"""What a file run is made of, opened in the order in which it costs least to find out that it cannot be."""

from __future__ import annotations

import math
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from realtime_dub.clock import VirtualClock
from realtime_dub.config import FileConfig
from realtime_dub.errors import ConfigError
from realtime_dub.face.types import FaceTracker
from realtime_dub.media import NS, OutputFormat, VideoInfo
from realtime_dub.mouth import registry
from realtime_dub.pipeline import assembly
from realtime_dub.pipeline.file.apart.film import FilmApart, possible
from realtime_dub.pipeline.file.retimed_video import RetimedVideo, order_for, silent_frames
from realtime_dub.pipeline.file.retiming import Retimed
from realtime_dub.pipeline.file.script_voice import ScriptVoice
from realtime_dub.pipeline.reports import announce, announce_consent
from realtime_dub.publishers.base import CarriesExtras, Publisher
from realtime_dub.publishers.null import NullPublisher
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.sources.registry import kind_of
from realtime_dub.sources.stream_choice import SoundChoice

if TYPE_CHECKING:
    from realtime_dub.pipeline.landmarks import LandmarkOutputs


class FileParts:
    """Made by ``assembly``, each with its close on ``stack``. Raises UserError."""

    def __init__(self, config: FileConfig, clock: VirtualClock, stack: ExitStack) -> None:
        self.kind = _kind(config)
        config = assembly.with_avatar(config, config.input)
        self._config, self._clock, self._stack = config, clock, stack
        self.engine = registry.engine(config.engine)
        if config.batch is not None and self.engine.file_batch == 1:
            raise ConfigError(f"engine {config.engine} takes no", "--batch", "leave it out or choose another --engine")
        self.steps = assembly.steps_of(config)
        self.shows = self.kind == "file" and config.identity is None and self.engine.learns_identity
        self.apart = self._begin_apart()
        self.publisher = self._open_publisher(config.output)
        self.preview: Publisher | None = None
        self.generator = assembly.make_generator(config)
        stack.callback(self.generator.close)
        self.landmarks = self._open_landmarks()
        announce(self.generator, config.quiet)
        announce_consent(config, self.generator)
        self.compositor = assembly.make_compositor()
        self.marks = assembly.make_marks(config.marks)
        self.video = self.apart or self._open_film()
        self.info: VideoInfo = self.video.open()
        self.voice = self._open_voice()
        self.voice_info = self.voice.open()
        self.extras = self._open_extras()

    def _begin_apart(self) -> FilmApart | None:
        """What decodes and tracks in a process of its own; None where both are stages of this one.

        Before anything here has a thread. An order of frames needs the film twice, and held frames are one.
        """
        config = self._config
        if self.kind != "file" or self.steps is not None or config.retime or config.static or not possible():
            return None
        try:
            apart = FilmApart(config, self.shows)
        except OSError:  # it has no memory to share, or lets no process begin
            return None
        self._stack.callback(apart.close)
        if self.shows and not has_another_voice(config):
            apart.ask_looks(False)
        return apart

    def _open_film(self) -> VideoSource:
        config = self._config
        video = self.open_video(width=config.width, height=config.height, fps=config.fps)
        return video if (order := self._order()) is None else RetimedVideo(video, *order)

    def open_video(self, **size: Any) -> VideoSource:
        """The film, once more where it is shown to the engine first."""
        options = assembly.video_options(self._config)
        video = assembly.open_video(self._config.input, clock=self._clock, loop=False, live=False, **size, **options)
        self._stack.callback(video.close)
        return video

    def _open_publisher(self, output: Path) -> Publisher:
        """Nowhere, where steps are wanted that end before the film."""
        if self.steps is not None and "composite" not in self.steps:
            return NullPublisher()
        return self._muxer(output)

    def _muxer(self, output: Path) -> Publisher:
        config = self._config
        return assembly.open_publisher(
            str(output),
            clock=self._clock,
            live=False,
            crf=config.crf,
            preset=config.preset,
            encoder=config.encoder,
            codec=config.codec,
        )

    def _order(self) -> tuple[Retimed, int] | None:
        """The film's frames in another order, and how many it has; None as they are."""
        steps = self.steps
        if self._config.retime or (steps is not None and "retime" in steps):
            order, count = self._found_order()
            if steps is not None:
                steps.write("retime", {"places": order.places, "repeated": order.repeated, "count": np.array(count)})
            return order, count
        if steps is None or not steps.path("retime").exists():
            return None
        kept = steps.read("retime", places=(None,), repeated=(None,), count=())
        return Retimed(kept["places"].astype(np.int64), kept["repeated"].astype(bool)), int(kept["count"])

    def _found_order(self) -> tuple[Retimed, int]:
        """One that suits the voice. The film is tracked once for that, and the voice heard."""
        config = self._config
        if self.kind != "file" or config.static or config.mic == "-" or config.extend:
            what = f"{config.input} for {config.mic}" + (" with --extend" if config.extend else "")
            raise ConfigError("cannot use --retime on", what, "give a film, and the voice as a file")
        film, tracker = self.open_video(), self.open_tracker()
        silent = silent_frames(self._open_voice(), float(film.open().fps), config.seconds)
        order = order_for(film, tracker, silent)
        film.close()
        tracker.close()
        return order

    def open_tracker(self) -> FaceTracker:
        tracker = assembly.tracker_for(self._config, at_once=True)
        self._stack.callback(tracker.close)
        return tracker

    def _open_landmarks(self) -> LandmarkOutputs | None:
        """Where the engine's landmarks go; None where nobody asked for them."""
        config = self._config
        if config.save_landmarks is None and config.preview is None and config.openness is None:
            return None
        from realtime_dub.pipeline.landmarks import LandmarkOutputs

        if config.preview is not None:
            self.preview = assembly.open_publisher(str(config.preview), clock=self._clock, live=False)
        return LandmarkOutputs(config, self.generator, self.preview)

    def output_format(self) -> OutputFormat:
        info, voice = self.info, self.voice_info
        return OutputFormat(info.width, info.height, info.fps, voice.rate, voice.channels, False, info.full_range)

    @property
    def batch(self) -> int:
        """How many frames go to the generator together."""
        return self._config.batch or self.engine.file_batch

    @property
    def total(self) -> int | None:
        """How many frames there will be, where that is known."""
        info, seconds = self.info, self._config.seconds
        whole = info.frames
        if whole is None and info.duration_ns is not None:
            whole = round(info.duration_ns * info.fps / NS)
        asked = None if seconds is None else math.ceil(seconds * info.fps)
        return min((each for each in (whole, asked) if each is not None), default=None)

    def begin_extras(self, zero_ns: int) -> None:
        """``zero_ns``: the film's time at which the result begins."""
        if self.extras is None:
            return
        ends_ns = [] if self._config.extend else [self.info.duration_ns or self.extras.pictures_end_ns]
        ends_ns += [None if self._config.seconds is None else round(self._config.seconds * NS)]
        self.extras.begin(zero_ns, min((each for each in ends_ns if each is not None), default=None))

    def _open_voice(self) -> VoiceSource:
        config = self._config
        own = config.input if self.kind == "file" else None
        options = assembly.voice_options(config)
        voice: VoiceSource
        if config.mic.startswith("script:"):
            voice = ScriptVoice(config.mic.removeprefix("script:"), config.input, config)
            self._stack.callback(voice.close)
            return voice
        voice = assembly.open_voice(config.mic, clock=self._clock, video_path=own, loop=False, live=False, **options)
        self._stack.callback(voice.close)
        return voice

    def _open_extras(self) -> Any:
        """What the film carries beside frames and audio, for an output that can hold it."""
        if self.kind != "file" or isinstance(self.video, RetimedVideo) or not isinstance(self.publisher, CarriesExtras):
            return None  # what was said at a time belongs to another one once the film is re-timed
        from realtime_dub.sources.extras import FilmExtras

        config = self._config
        own = SoundChoice(config.audio_stream, config.language) if config.mic == "video" else None
        self.extras = extras = FilmExtras(config.input, config.video_stream, own)
        self._stack.callback(extras.close)
        self.begin_extras(extras.pictures_start_ns)  # chapters are written before the first frame
        self.publisher.carry(extras)
        return extras


def has_another_voice(config: FileConfig) -> bool:
    """The film's own is the person's, to learn from while another one is dubbed."""
    return config.learn == "on" and config.mic != "video"


def _kind(config: FileConfig) -> str:
    """file, image, demo or avatar. Raises ConfigError for what is live."""
    kind = kind_of(config.input)
    if kind not in ("file", "image", "demo", assembly.AVATAR):
        raise ConfigError("no file:", config.input, "name a video or a picture, or use --webcam for a live run")
    return kind
