"""When what a browser sends was captured, on the pipeline's clock.

Each track counts from zero on its own. The offset to our clock is taken from the arrivals: the quickest packets of the
last seconds waited for nothing, so the lower envelope of arrival less count is the line, and it is followed
slowly, as clocks drift. Where the browser's sender reports tell the offset between its two tracks, that is used.
"""

from __future__ import annotations

from collections import deque

from realtime_dub.media import MS, NS

WINDOW_NS = NS  # the envelope is the least of the present window and of WINDOWS before it
WINDOWS = 4
SLEW = 0.002  # of time: how fast the line rises after a slower network or a drifting clock
JUMP_NS = NS  # further off, it is another stream
TRUST_NS = 500 * MS  # reports that say more than this against the arrivals are wrong
LOCKING_NS = 700 * MS  # of a held line, from the first arrival on
HELD_NS = 15 * MS  # a held line that is further off moves
CENTRE_NS = 20 * MS  # the grid takes frames from 10 to 50 ms after its instant: meant are -10 to 30
FIRST_INTERVAL_NS = 33 * MS  # what the first frame is taken to have waited for the second
REPORTS = 8  # the newest ones: a sender that was late once has said so, the earliest is the truest
STEP_NS = MS // 5  # per frame of audio, towards what the reports say: a hundredth of its length


class TrackClock:
    """The line from one track's pts to our clock.

    ``held``: once found it stays where it is while it is nearly right, for a grid that is locked to it.
    """

    def __init__(self, held: bool = False) -> None:
        self._held, self._moving = held, True
        self._began_ns = 0
        self._offset: float | None = None
        self._floors: deque[int] = deque(maxlen=WINDOWS)
        self._floor = 0
        self._window_ns = 0
        self._last_ns = 0

    @property
    def offset_ns(self) -> int | None:
        """Clock less pts of the quickest arrivals; None before the first."""
        return None if self._offset is None else round(self._offset)

    def update(self, pts_ns: int, arrival_ns: int) -> int:
        """Something of ``pts_ns`` came at ``arrival_ns``; the offset."""
        delay = arrival_ns - pts_ns
        if self._offset is None or abs(delay - self._offset) > JUMP_NS:
            self._begin(delay, arrival_ns)
        elapsed_ns = arrival_ns - self._last_ns
        self._last_ns = arrival_ns
        self._floor = min(self._floor, delay)
        if arrival_ns - self._window_ns > WINDOW_NS:
            self._floors.append(self._floor)
            self._floor, self._window_ns = delay, arrival_ns
        floor = min(self._floor, *self._floors) if self._floors else self._floor
        if not self._held or self._moves(floor, arrival_ns):
            self._follow(floor, elapsed_ns)
        assert self._offset is not None
        return round(self._offset)

    def _begin(self, delay: int, arrival_ns: int) -> None:
        self._offset = float(delay)
        self._floors.clear()
        self._floor, self._window_ns, self._last_ns = delay, arrival_ns, arrival_ns
        self._began_ns, self._moving = arrival_ns, True

    def _moves(self, floor: int, arrival_ns: int) -> bool:
        assert self._offset is not None
        off = abs(floor - self._offset)
        if arrival_ns - self._began_ns > LOCKING_NS:
            self._moving = off > HELD_NS or (self._moving and off > MS)
        return self._moving

    def _follow(self, floor: int, elapsed_ns: int) -> None:
        assert self._offset is not None
        self._offset += min(floor - self._offset, SLEW * elapsed_ns)


class CaptureClock:
    """Both tracks of one browser. ``audio_delay_ns``: what the way of the audio holds back at least, by its making.

    The video's line is the reference: the output's grid is locked to it. The audio is moved to what the reports say,
    so slowly that the correction of drift can bend it there.
    """

    def __init__(self, audio_delay_ns: int) -> None:
        self._audio_delay_ns = audio_delay_ns
        self._audio, self._video = TrackClock(), TrackClock(held=True)
        self._reports: dict[str, deque[int]] = {}  # the sender's clock at pts 0 of each track
        self._began_ns: int | None = None  # when the next frame began to come
        self._shift_ns = 0.0  # of the audio, by the reports

    def restart(self, kind: str) -> None:
        """Another track of that kind begins."""
        self._reports.pop(kind, None)
        if kind == "audio":
            self._audio = TrackClock()
        else:
            self._video, self._began_ns = TrackClock(held=True), None

    def report(self, kind: str, sender_ns: int, pts_ns: int) -> None:
        """The sender says that its clock was ``sender_ns`` at ``pts_ns`` of a track."""
        told = self._reports.setdefault(kind, deque(maxlen=REPORTS))
        if told and abs(sender_ns - pts_ns - told[-1]) > JUMP_NS:  # its clock was set
            told.clear()
        told.append(sender_ns - pts_ns)

    def audio_ns(self, pts_ns: int, arrival_ns: int) -> int:
        """The capture of the first sample of a frame of audio."""
        own_ns = self._audio.update(pts_ns, arrival_ns) - self._audio_delay_ns
        self._follow_reports(own_ns)
        return pts_ns + own_ns + round(self._shift_ns)

    def frame_ns(self, pts_ns: int, arrival_ns: int) -> int:
        """The capture of a frame.

        A frame is known to be complete, and comes, when the first packet of the next one does. So the arrival of one
        tells the way of the next, whatever the camera's rate is and however it changes.
        """
        began_ns, self._began_ns = self._began_ns, arrival_ns
        if began_ns is None:
            return arrival_ns - FIRST_INTERVAL_NS + CENTRE_NS
        return pts_ns + self._video.update(pts_ns, began_ns) + CENTRE_NS

    def _follow_reports(self, own_ns: int) -> None:
        target = 0.0
        frame_ns = self._video.offset_ns
        if frame_ns is not None and {"audio", "video"} <= self._reports.keys():
            reported_ns = frame_ns - min(self._reports["video"]) + min(self._reports["audio"])
            target = reported_ns - own_ns if abs(reported_ns - own_ns) < TRUST_NS else 0.0
        self._shift_ns += max(-STEP_NS, min(STEP_NS, target - self._shift_ns))
