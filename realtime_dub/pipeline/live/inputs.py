"""The live inputs: a thread for the camera, one for the voice, one for the tracker."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream
from realtime_dub.face.types import FaceTracker
from realtime_dub.flow import LatestSlot, Pump
from realtime_dub.losses import Lost, lost_by
from realtime_dub.media import AudioBlock, Frame, VoiceInfo
from realtime_dub.notes import notes_of
from realtime_dub.pipeline.live.turns import Rank, SourceTurns, Turns
from realtime_dub.pipeline.schedule import TrackedSample
from realtime_dub.sources.base import DecodesInTurn, VideoSource, VoiceSource
from realtime_dub.sources.paced import PacedVideo
from realtime_dub.sources.paced_voice import PacedVoice
from realtime_dub.voice.contract import VoiceFromVideo

Which = Literal["video", "voice", "own voice"]
StartsWith = Literal["itself", "picture", "ticks"]


class Sink(Protocol):
    """Where the inputs put what they get. Called from their threads."""

    def on_frame(self, sample: TrackedSample) -> None: ...

    def on_voice(self, block: AudioBlock) -> None: ...

    def on_own_voice(self, block: AudioBlock) -> None: ...

    def on_end(self, which: Which, error: BaseException | None) -> None: ...


class Inputs(Protocol):
    """What feeds a live pipeline."""

    def start(self, sink: Sink) -> None:
        """Pictures may come from now on."""

    def ticking(self) -> None:
        """Everything is warm, the first tick is near: a voice that can wait begins now."""

    def close(self) -> None: ...


class VoiceInStep:
    """The sound of a file whose picture is paced: both run from the same instant, the file's time 0."""

    def __init__(self, source: VoiceSource, video: PacedVideo, clock: Clock) -> None:
        self._source, self._video, self._clock = source, video, clock
        self._paced = PacedVoice(source, clock)

    @property
    def notes(self) -> list[str]:
        return notes_of(self._source)

    def open(self) -> VoiceInfo:
        return self._paced.open()

    def start(self, first: Frame) -> None:
        """The picture is on its way: ``first`` is its first frame as paced."""
        origin_ns = self._video.origin_ns
        self._paced = PacedVoice(self._source, self._clock, first.pts_ns if origin_ns is None else origin_ns)

    def read(self) -> AudioBlock:
        return self._paced.read()

    def close(self) -> None:
        self._paced.close()


class ThreadedInputs:
    """Open sources and a tracker, pumped. The tracker takes the newest frame; one that it was too slow for is gone.

    The voice is read from the start, or from the first picture on, or, where it would lose its beginning to the
    warming up, from just before the first tick. The person's own voice beside it is read from the first picture on.
    """

    def __init__(
        self,
        video: VideoSource,
        voice: VoiceSource,
        tracker: FaceTracker,
        clock: Clock,
        voice_starts_with: StartsWith = "itself",
        own_voice: VoiceSource | None = None,
        turns: Turns | None = None,
    ) -> None:
        """``turns``: those of the other threads of a run that work."""
        self._video, self._voice, self._tracker, self._clock = video, voice, tracker, clock
        self._shown_to = voice if isinstance(voice, VoiceFromVideo) else None
        self._starts_with = voice_starts_with
        self._own_voice = own_voice
        self._turns = turns or Turns(clock)
        if isinstance(video, DecodesInTurn):
            video.turn = SourceTurns(self._turns, clock).turn
        self._voice_may, self._filmed = threading.Event(), threading.Event()
        self._closing = False
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._video_error: BaseException | None = None
        self._pumps = [
            Pump("camera", self._read_video, EndOfStream, video.close),
            Pump("voice", self._read_voice, EndOfStream, voice.close),
        ]
        if own_voice is not None:
            self._pumps.append(Pump("own voice", partial(self._read_own, own_voice), EndOfStream, own_voice.close))
        self._thread = threading.Thread(target=self._track, name="tracker", daemon=True)

    def start(self, sink: Sink) -> None:
        self._sink = sink
        if self._starts_with == "itself":
            self._voice_may.set()
        self._thread.start()
        for pump in self._pumps:
            pump.start()

    def ticking(self) -> None:
        self._voice_may.set()

    def lost(self) -> Lost:
        return Lost(drops=self._slot.dropped) + lost_by((self._video, self._voice, self._own_voice))

    def close(self) -> None:
        """Stop the threads, close the sources and the tracker. Idempotent."""
        self._closing = True
        self._voice_may.set()
        self._filmed.set()
        self._slot.close()
        for pump in self._pumps:
            pump.close()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._tracker.close()

    def _read_video(self) -> None:
        try:
            frame = self._video.read()
            if not self._filmed.is_set():
                self._begin(frame)
            self._slot.put(frame)
        except BaseException as error:
            self._video_error = None if isinstance(error, EndOfStream) else error
            self._slot.close()
            raise

    def _begin(self, first: Frame) -> None:
        """What is in step with the video begins with it."""
        for voice in (self._voice, self._own_voice):
            if isinstance(voice, VoiceInStep):
                voice.start(first)
        if isinstance(self._voice, VoiceInStep):
            self._voice_may.set()
        self._filmed.set()

    def _read_voice(self) -> None:
        self._voice_may.wait()
        self._hand_on("voice", self._voice, self._sink.on_voice)

    def _read_own(self, voice: VoiceSource) -> None:
        self._filmed.wait()
        self._hand_on("own voice", voice, self._sink.on_own_voice)

    def _hand_on(self, which: Which, voice: VoiceSource, take: Callable[[AudioBlock], None]) -> None:
        try:
            if self._closing:
                raise EndOfStream
            take(voice.read())
        except BaseException as error:
            self._sink.on_end(which, None if isinstance(error, EndOfStream) else error)
            raise

    def _track(self) -> None:
        error: BaseException | None = None
        try:
            while (frame := self._slot.take()) is not None:
                with self._turns.turn(Rank.TRACKER) as queued_ns:
                    self._sink.on_frame(self._tracked(frame, queued_ns))
        except BaseException as caught:
            error = caught
        if self._shown_to is not None:
            self._shown_to.end()
        self._sink.on_end("video", error or self._video_error)

    def _tracked(self, frame: Frame, queued_ns: int) -> TrackedSample:
        began_ns = self._clock.now_ns()
        tracked = self._tracker.track(frame)
        if self._shown_to is not None:
            self._shown_to.watch(tracked)
        return TrackedSample(tracked, self._clock.now_ns() - began_ns, queued_ns)
