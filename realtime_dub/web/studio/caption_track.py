"""The captions of a recording: a WebVTT file beside it, with the times of the film."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from realtime_dub.clock import Clock
from realtime_dub.media import MS
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio.recording import Recording
from realtime_dub.web.studio.webvtt import Cue, written

SUFFIX = ".vtt"


def beside(film: Path) -> Path:
    return film.with_suffix(SUFFIX)


class CaptionTrack:
    """Of one recording of an output timeline."""

    def __init__(self, recording: Recording, timeline: OutputTimeline, clock: Clock) -> None:
        self._recording, self._timeline, self._clock = recording, timeline, clock
        self.cues: list[Cue] = []

    def add(self, text: str, for_ms: int) -> None:
        """One that is shown from now on, until the next one is. On the loop."""
        timeline, start_ns = self._timeline, self._recording.start_ns
        if start_ns is None or timeline.origin_ns is None:
            return
        at_ns = max(0, self._clock.now_ns() - timeline.origin_ns - timeline.lag_ns - start_ns)
        if self.cues and self.cues[-1].end_ns > at_ns:
            self.cues[-1] = replace(self.cues[-1], end_ns=max(at_ns, self.cues[-1].start_ns + MS))
        self.cues.append(Cue(at_ns, at_ns + for_ms * MS, text))

    def save(self) -> None:
        """Blocking. Raises OSError."""
        if self.cues:
            beside(self._recording.path).write_text(written(self.cues), encoding="utf-8")
