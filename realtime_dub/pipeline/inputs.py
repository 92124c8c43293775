"""The live inputs: a thread for the camera, one for the voice, one for the tracker."""

from __future__ import annotations

import threading
from typing import Literal, Protocol

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream
from realtime_dub.face.types import FaceTracker
from realtime_dub.flow import LatestSlot, Pump
from realtime_dub.media import AudioBlock, Frame
from realtime_dub.sources.base import VideoSource, VoiceSource
from realtime_dub.sync import Seen

Which = Literal["video", "voice"]


class Sink(Protocol):
    """Where the inputs put what they get. Called from their threads."""

    def on_seen(self, seen: Seen) -> None: ...

    def on_voice(self, block: AudioBlock) -> None: ...

    def on_end(self, which: Which, error: BaseException | None) -> None: ...


class Inputs(Protocol):
    """What feeds a live pipeline."""

    def start(self, sink: Sink) -> None: ...

    def close(self) -> None: ...


class ThreadedInputs:
    """Open sources and a tracker, pumped. The tracker takes the newest frame; one that it was too slow for is gone."""

    def __init__(self, video: VideoSource, voice: VoiceSource, tracker: FaceTracker, clock: Clock) -> None:
        self._video, self._voice, self._tracker, self._clock = video, voice, tracker, clock
        self._slot: LatestSlot[Frame] = LatestSlot()
        self._pumps = (
            Pump("camera", self._read_video, EndOfStream, video.close),
            Pump("voice", self._read_voice, EndOfStream, voice.close),
        )
        self._thread = threading.Thread(target=self._track, name="tracker", daemon=True)

    def start(self, sink: Sink) -> None:
        self._sink = sink
        self._thread.start()
        for pump in self._pumps:
            pump.start()

    def close(self) -> None:
        """Stop the threads, close the sources and the tracker. Idempotent."""
        self._slot.close()
        for pump in self._pumps:
            pump.close()
        if self._thread.ident is not None:
            self._thread.join(5)
        self._tracker.close()

    def _read_video(self) -> None:
        try:
            self._slot.put(self._video.read())
        except BaseException as error:
            self._video_error = None if isinstance(error, EndOfStream) else error
            self._slot.close()
            raise

    def _read_voice(self) -> None:
        try:
            self._sink.on_voice(self._voice.read())
        except BaseException as error:
            self._sink.on_end("voice", None if isinstance(error, EndOfStream) else error)
            raise

    def _track(self) -> None:
        error: BaseException | None = None
        try:
            while (frame := self._slot.take()) is not None:
                began_ns = self._clock.now_ns()
                tracked = self._tracker.track(frame)
                self._sink.on_seen(Seen(tracked, self._clock.now_ns() - began_ns))
        except BaseException as caught:
            error = caught
        self._sink.on_end("video", error or self._video_error)

    _video_error: BaseException | None = None
