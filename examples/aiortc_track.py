"""A track for aiortc that dubs the video it is given with the audio it is given.

``DubbedTrack(video, audio, dubber)`` takes two tracks of a peer and is a video track itself: add it to a connection.
Make the ``Dubber(rate=RATE)`` beforehand and off the event loop (``asyncio.to_thread``): its models take a second to
load. The frames leave its ``latency_s`` after they came; delay the audio that goes with them by as much.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler, VideoFrame

from realtime_dub import DubbedFrame, Dubber

RATE = 48_000
CLOCK = Fraction(1, 90_000)  # of RTP video


class DubbedTrack(MediaStreamTrack):
    """Video, dubbed on a thread of its own: a frame takes longer than an event loop may stand still."""

    kind = "video"

    def __init__(self, video: MediaStreamTrack, audio: MediaStreamTrack, dubber: Dubber) -> None:
        super().__init__()
        self._dubber = dubber
        self._video, self._audio = video, audio
        self._thread = ThreadPoolExecutor(1, "dubber")
        self._ready: asyncio.Queue[DubbedFrame | None] = asyncio.Queue()
        self._tasks = [asyncio.ensure_future(each) for each in (self._listen(), self._watch())]

    async def recv(self) -> VideoFrame:
        frame = await self._ready.get()
        if frame is None:
            self.stop()
            raise MediaStreamError
        out = VideoFrame.from_ndarray(frame.image, format="bgr24")
        out.pts, out.time_base = round(frame.time_s / CLOCK), CLOCK
        return out

    def stop(self) -> None:
        super().stop()
        for task in self._tasks:
            task.cancel()
        self._thread.submit(self._dubber.close)
        self._thread.shutdown(wait=False)

    async def _listen(self) -> None:
        """The voice, in one channel. A peer's two tracks each begin at time zero: here that is taken as one instant."""
        resampler = AudioResampler(format="flt", layout="mono", rate=RATE)
        try:
            while True:
                frame = await self._audio.recv()
                await self._work(self._hear, resampler.resample(frame))
        except MediaStreamError:
            await self._work(self._finish)

    async def _watch(self) -> None:
        try:
            while True:
                frame = await self._video.recv()
                time_s = float(frame.pts * frame.time_base)
                await self._work(self._dubber.feed_frame, frame.to_ndarray(format="bgr24"), time_s)
        except MediaStreamError:
            await self._work(self._finish)

    def _hear(self, frames: list[AudioFrame]) -> list[DubbedFrame]:
        for frame in frames:
            self._dubber.feed_audio(np.asarray(frame.to_ndarray()).reshape(-1), float(frame.pts * frame.time_base))
        return self._dubber.read()

    def _finish(self) -> list[DubbedFrame | None]:
        return [*self._dubber.flush(), None]

    async def _work(self, job, *arguments: object) -> None:
        for frame in await asyncio.get_running_loop().run_in_executor(self._thread, job, *arguments) or ():
            self._ready.put_nowait(frame)
