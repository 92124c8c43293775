"""The recording of one session: begun and ended on request, and ended with the session, whatever ends that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from realtime_dub.clock import Clock
from realtime_dub.web.limits import RECORDING_KEPT_S, RECORDING_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.said import said
from realtime_dub.web.studio.caption_track import CaptionTrack
from realtime_dub.web.studio.recording import Recording, why
from realtime_dub.web.studio.recording_signer import RecordingSigner
from realtime_dub.web.studio.recordings import Kept, Recordings

LONGEST = "The recording is {minutes} minutes long, which is the most. What was recorded is kept for {kept} minutes."
ENDED = "The recording ended: {why}. What was recorded is kept for {kept} minutes."
LOST = "The recording ended: {why}. Nothing of it could be kept."


class SessionRecorder:
    """At most one recording at a time. On the server's loop."""

    def __init__(
        self,
        recordings: Recordings,
        clock: Clock,
        note: Callable[[str], None],
        spawn: Callable[[Coroutine[Any, Any, Any], str], None],
        signing: RecordingSigner | None = None,
    ) -> None:
        """``signing``: None = recordings say nothing of themselves."""
        self._signing = signing
        self._recordings, self._clock, self._note, self._spawn = recordings, clock, note, spawn
        self._lock = asyncio.Lock()
        self._now: tuple[Kept, Recording] | None = None
        self._timeline: OutputTimeline | None = None
        self._track: CaptionTrack | None = None
        self._closed = False

    @property
    def running(self) -> bool:
        return self._now is not None and not self._now[1].over

    async def start(self, timeline: OutputTimeline | None, visitor: str, room: str | None = None) -> Kept:
        """The one that runs where there is one. Raises Refusal."""
        if timeline is None:
            raise Refusal(409, "This session has no video.", "Record the session that is watched.")
        async with self._lock:
            if self._closed:
                raise Refusal(404, "There is no such session.", "Start a new one.")
            if self._now is None:
                kept = await asyncio.to_thread(self._recordings.begin, visitor, room)
                tag = None if self._signing is None else self._signing.begin()
                recording = Recording(kept.path, timeline, self._clock, self._over, tag)
                self._timeline, self._now = timeline, (kept, recording)
                timeline.recorder = self._now[1].take
                self._track = CaptionTrack(self._now[1], timeline, self._clock)
            return self._now[0]

    async def stop(self) -> Kept | None:
        """What there is to fetch."""
        async with self._lock:
            now, self._now = self._now, None
            if now is None:
                return None
            if self._timeline is not None:
                self._timeline.recorder = None
            if self._signing is not None:
                self._signing.end()
            return await asyncio.to_thread(self._finish, *now)

    def add_caption(self, text: str, for_ms: int) -> None:
        """Of the voice that is recorded, shown from now on."""
        if self._track is not None and self.running:
            self._track.add(text, for_ms)

    async def close(self) -> None:
        """The session ends: so does what is recorded of it, and stays."""
        self._closed = True
        await self.stop()

    def _finish(self, kept: Kept, recording: Recording) -> Kept | None:
        try:
            recording.close()
            if self._track is not None:
                self._track.save()
        finally:
            note = why(recording.error) if recording.error is not None else self._sign(recording)
            ended = self._recordings.end(kept.id, recording.seconds, note)
        return ended

    def _sign(self, recording: Recording) -> str | None:
        """What the visitor is to know."""
        return self._signing.sign(recording.film) if self._signing is not None else None

    def _over(self) -> None:
        """It ended by itself."""
        if self._now is not None:
            self._spawn(self._end(self._now[1]), "recording")

    async def _end(self, recording: Recording) -> None:
        if self._now is None or self._now[1] is not recording:
            return
        kept = await self.stop()
        if recording.error is None:
            self._note(said(LONGEST, minutes=RECORDING_S // 60, kept=RECORDING_KEPT_S // 60))
        else:
            ended = said(ENDED, why=why(recording.error), kept=RECORDING_KEPT_S // 60)
            self._note(ended if kept is not None else said(LOST, why=why(recording.error)))
