"""When what is published: the output grid, the frames that wait for it, admission, degradation and fallback.

Pure classes: they are told the time, hold no thread and no clock, and are tested in virtual time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from fractions import Fraction
from typing import Literal

from realtime_dub.blend.patch import WholeFrame, is_carried
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS, ns_to_samples, rescale
from realtime_dub.mouth.contract import Generated
from realtime_dub.pipeline.statistics import Kind

# A tick may leave so much after its time before its picture is older than the budget: frames are chosen accordingly.
TOLERANCE_NS = 10 * MS
# The first frame is published this long before it reaches the budget: TOLERANCE_NS, and a camera's jitter.
GUARD_NS = 15 * MS
PROBE_NS = 200 * MS  # in passthrough, how often the engine is tried
PATIENCE, MOST_PATIENCE = 25, 800  # quick jobs on smaller pictures before full size is tried again
HALF_PATIENCE, MOST_HALF_PATIENCE = 6, 96  # and at half rate before a mouth for every tick is
BRIEF = 50  # jobs: what was gone up to for fewer was gone up to for nothing


@dataclass(slots=True, eq=False)
class Grid:
    """Ticks ``T_k = first + k / fps`` and the instants ``m_k = T_k - budget`` that they publish.

    Each is computed from k: nothing accumulates. ``move`` shifts all ticks from one on.
    """

    first_ns: int
    fps: Fraction
    budget_ns: int
    _moved: deque[tuple[int, int]] = field(default_factory=lambda: deque([(0, 0)]))  # from a tick on, by ns in all

    def offset(self, k: int) -> int:
        """The pts of tick k: ns since the first."""
        return rescale(k * NS, self.fps.denominator, self.fps.numerator) + self._by(k)

    def at(self, k: int) -> int:
        """T_k on the pipeline's clock."""
        return self.first_ns + self.offset(k)

    def media(self, k: int) -> int:
        """m_k: the instant of the voice in tick k."""
        return self.at(k) - self.budget_ns

    @property
    def start_ns(self) -> int:
        """m_0."""
        return self.first_ns - self.budget_ns

    def samples(self, k: int, rate: int) -> tuple[int, int]:
        """First sample and number of samples of tick k, counted from m_0: no overlap, no gap, no drift."""
        first, end = (
            rescale(each * rate, self.fps.denominator, self.fps.numerator) + ns_to_samples(self._by(each), rate)
            for each in (k, k + 1)
        )
        return first, end - first

    def phase(self, capture_ns: int) -> int:
        """How long after the last instant from which one of the newest ticks takes frames: ns, less than a period."""
        since_ns = capture_ns - self.start_ns - TOLERANCE_NS - self._moved[-1][1]
        ticks = since_ns * self.fps.numerator // (NS * self.fps.denominator)
        return since_ns - rescale(ticks * NS, self.fps.denominator, self.fps.numerator)

    def move(self, k: int, by_ns: int) -> None:
        """Tick k and those after it come later by ``by_ns``, or sooner. The tick before k lasts so much longer: it must
        not have been given out.
        """
        self._moved.append((k, self._moved[-1][1] + by_ns))

    def forget(self, k: int) -> None:
        """No tick before k is asked for any more."""
        while len(self._moved) > 1 and self._moved[1][0] <= k:
            self._moved.popleft()

    def _by(self, k: int) -> int:
        return next((by_ns for since, by_ns in reversed(self._moved) if since <= k), self._moved[0][1])


def phase_lock(capture_ns: int, fps: Fraction, budget_ns: int, not_before_ns: int) -> int:
    """T_0: the first tick not before ``not_before_ns`` at which a frame in step with ``capture_ns`` is almost due."""
    first_ns = capture_ns + budget_ns - GUARD_NS
    behind_ns = max(0, not_before_ns - first_ns)
    ticks = -(-behind_ns * fps.numerator // (NS * fps.denominator))
    return first_ns + rescale(ticks * NS, fps.denominator, fps.numerator)


@dataclass(frozen=True, slots=True, eq=False)
class TrackedSample:
    """A tracked frame, what tracking it took, and how long it waited for its turn before."""

    tracked: TrackedFrame
    track_ns: int = 0
    queued_ns: int = 0

    @property
    def capture_ns(self) -> int:
        return self.tracked.frame.pts_ns


@dataclass(frozen=True, slots=True, eq=False)
class FrameChoice:
    """The frame of a tick. ``lagged``: it is the last there was, too old, because the source stalled or was lost."""

    sample: TrackedSample
    new: bool
    lagged: bool = False


class FrameStore:
    """Tracked frames that wait to be published. At most ``length``; the oldest gives way.

    ``ahead_ns``: a frame so much younger than needed waits for the next tick, and the last one is shown again. Without
    that, one frame that the camera loses would leave the picture ahead of the sound by a frame for good.
    """

    def __init__(self, length: int, ahead_ns: int) -> None:
        self._waiting: deque[TrackedSample] = deque(maxlen=length)
        self._ahead_ns = ahead_ns
        self._last: TrackedSample | None = None

    def put(self, sample: TrackedSample) -> None:
        self._waiting.append(sample)

    def has(self, since_ns: int) -> bool:
        """A frame of ``since_ns`` or later waits."""
        return bool(self._waiting) and self._waiting[-1].capture_ns >= since_ns

    def ready(self, since_ns: int) -> bool:
        """``choose`` would give a frame of ``since_ns`` or later, be it the last one again."""
        return self.has(since_ns) or (self._last is not None and self._last.capture_ns >= since_ns)

    def choose(self, since_ns: int) -> FrameChoice | None:
        """The oldest unpublished frame of ``since_ns`` or later, if it is not too far ahead; else the last again.

        None before the first. Older frames are dropped: too late to be published.
        """
        while self._waiting and self._waiting[0].capture_ns < since_ns:
            self._last = self._waiting.popleft()
        if self._waiting and not self._repeats(since_ns):
            self._last = self._waiting.popleft()
            return FrameChoice(self._last, new=True, lagged=self._last.tracked.frame.stale)
        if self._last is None:
            return None
        stale = self._last.tracked.frame.stale
        return FrameChoice(self._last, new=False, lagged=stale or self._last.capture_ns < since_ns)

    def _repeats(self, since_ns: int) -> bool:
        ahead = self._waiting[0].capture_ns - since_ns > self._ahead_ns
        return ahead and self._last is not None and self._last.capture_ns >= since_ns

    def young(self, since_ns: int) -> TrackedSample | None:
        """The oldest waiting frame of ``since_ns`` or later, left in place."""
        return next((sample for sample in self._waiting if sample.capture_ns >= since_ns), None)

    @property
    def last(self) -> TrackedSample | None:
        """The newest frame there is."""
        return self._waiting[-1] if self._waiting else self._last


class P95:
    """What a job takes: the 95th percentile of the last ``window``, but not more than the worst of the last three.

    One outlier does not move it; a second one does at once, and three quick jobs in a row bring it down again (the
    slow way up is the policy's). Starts from what was declared.
    """

    def __init__(self, expected_ns: int, window: int = 50) -> None:
        self._values: deque[int] = deque([expected_ns] * 3, maxlen=window)

    def add(self, took_ns: int) -> None:
        self._values.append(took_ns)

    @property
    def value_ns(self) -> int:
        ordered = sorted(self._values)
        rank = min(-(-len(ordered) * 95 // 100), len(ordered) - 1)
        return min(ordered[rank - 1], max(list(self._values)[-3:]))


class Admission:
    """Start a job only where it is expected to be in time. Nothing is cancelled half way."""

    def __init__(self, expected_ns: int) -> None:
        self.cost = P95(expected_ns)
        self._expected_ns = expected_ns

    def forget(self) -> None:
        """The jobs are others from now on."""
        self.cost = P95(self._expected_ns)

    def refuse(self) -> None:
        """A job was not started for want of time. Counts as one of the expected length: or one slow spell would keep
        all others out for good.
        """
        self.cost.add(self._expected_ns)

    def rest(self) -> None:
        """There was nothing to do. What was slow once says ever less of the present."""
        if self.cost.value_ns > self._expected_ns:
            self.refuse()

    def fits(self, now_ns: int, deadline_ns: int) -> bool:
        return now_ns + self.cost.value_ns <= deadline_ns

    def latest_ns(self, deadline_ns: int) -> int:
        """The last moment at which a job may start."""
        return deadline_ns - self.cost.value_ns


class Haste:
    """How much less of the voice is waited for where mouths would come too late otherwise: as much as it takes.

    A mouth speaks a voice that much older then. ``MOST_NS`` is what a generator may be behind anyway
    (``voice_feeder.askable_ns``), and less than anybody notices (ITU-R BT.1359: 45 ms).
    """

    MOST_NS, SPARE_NS = 20 * MS, 2 * MS  # at most; kept free before a deadline, for the loop's timers

    def __init__(self, window_ns: int) -> None:
        """``window_ns``: from the moment a mouth can be started without haste to its deadline."""
        self.ns = 0  # for the next mouth: what the 95th percentile lacks, or, of few mouths, the second slowest
        self._window_ns = window_ns
        self._needed_ns: deque[int] = deque(maxlen=50)

    def took(self, needed_ns: int) -> None:
        """A mouth was made so long after it could have been begun."""
        self._needed_ns.append(needed_ns)
        if len(self._needed_ns) > 1:
            slow_ns = sorted(self._needed_ns)[-max(2, len(self._needed_ns) // 20 + 1)]
            self.ns = max(0, min(slow_ns + self.SPARE_NS - self._window_ns, self.MOST_NS))


class Level(IntEnum):
    """How much the engine is asked to do."""

    FULL = 0
    SMALL = 1  # the engine works on smaller pictures
    HALF = 2  # a mouth for every second tick, carried over to the one between; it has the time of both
    PASS = 3  # the unchanged picture; a probe now and then finds out whether it is over


class DegradationPolicy:
    """Degradation with hysteresis: misses go down fast, a longer run of quick jobs goes up.

    Three misses among the last six end ``FULL``. Engines that can work on smaller pictures have ``SMALL`` before that:
    there two misses end ``FULL``, for it costs little, and three more end ``SMALL``.
    At ``HALF`` a mouth may come by the deadline of the next tick, for which none is made: a late one is carried over.
    ``HALF`` ends after six in a row only, for the way back from ``PASS`` is long.

    It is for slowness alone: a mouth whose sound had not come in time is no miss.

    From the end of an overload to a mouth for every tick: three probes and six jobs at half rate, 1.1 to 1.3 s at
    25 fps. How long jobs at full size take, those at ``SMALL`` do not tell: full size is tried after a while, and after
    twice as long where that was for nothing. So is the full rate, from ``HALF``.
    """

    def __init__(self, period_ns: int, window_ns: int, smaller: bool = False) -> None:
        """``smaller``: there is a level ``SMALL``."""
        self.level = Level.FULL
        self._smaller, self._patience = smaller, PATIENCE
        self._half_patience = HALF_PATIENCE
        self._since_climb = BRIEF  # jobs since ``HALF`` was left upwards
        self._period_ns = period_ns
        self._window_ns = window_ns  # from the earliest start of a job to its deadline
        self._recent: deque[bool] = deque(maxlen=6)
        self._took_ns: deque[int] = deque(maxlen=6)  # of the last jobs, all in time
        self._good = 0  # jobs in a row after which more could have been done
        self._last_run_ns: int | None = None

    def deadline_ns(self, deadline_ns: int) -> int:
        """Until when a mouth is worth something whose own tick has this deadline."""
        return deadline_ns + (self._period_ns if self.level >= Level.HALF else 0)

    def wants(self, k: int, now_ns: int) -> Literal["run", "probe", "skip"]:
        """What to do for tick k. A probe runs whether it is expected in time or not."""
        if self._idle(now_ns):
            return "probe"
        if self.level is Level.PASS or (self.level is Level.HALF and k % 2):
            return "skip"
        return "run"

    def _idle(self, now_ns: int) -> bool:
        """Nothing was begun for a while; or never, as every mouth was refused."""
        if self._last_run_ns is None:
            return self.level is Level.PASS
        return now_ns - self._last_run_ns >= PROBE_NS

    def started(self, now_ns: int) -> None:
        """The engine starts a job."""
        self._last_run_ns = now_ns

    def begin_below(self) -> None:
        """No mouth is wanted for a while; then it is to be found out what can be done."""
        if self.level is not Level.PASS:
            self._go(Level.PASS)

    def missed(self) -> None:
        """A mouth that was wanted was not begun, or came late."""
        self._took_ns.clear()
        self._good = 0
        self._recent.append(False)
        enough = {Level.FULL: 2 if self._smaller else 3, Level.HALF: 6}.get(self.level, 3)
        self._since_climb += 1
        if self._recent.count(False) >= enough and self.level is not Level.PASS:
            if self.level is Level.FULL:
                self._patience = min(2 * self._patience, MOST_PATIENCE)
            if self._next(1) is Level.HALF:
                more = 2 * self._half_patience if self._since_climb < BRIEF else HALF_PATIENCE
                self._half_patience = min(more, MOST_HALF_PATIENCE)
            self._go(self._next(1))

    def in_time(self, took_ns: int) -> None:
        """A job was in time."""
        self._recent.append(True)
        self._took_ns.append(took_ns)
        self._since_climb += 1
        could = self._could_more()
        self._good = self._good + 1 if could else 0
        if self.level is Level.FULL:
            self._patience = PATIENCE if self._good >= MOST_PATIENCE else self._patience
        elif could and self._good >= self._needed():
            self._since_climb = 0 if self.level is Level.HALF else self._since_climb
            self._go(self._next(-1))

    def _needed(self) -> int:
        """Jobs in a row after which more could have been done; the first is the last of some (``_could_more``)."""
        return {Level.SMALL: self._patience, Level.HALF: self._half_patience - HALF_PATIENCE + 1}.get(self.level, 1)

    def _next(self, step: int) -> Level:
        level = Level(self.level + step)
        return Level(level + step) if level is Level.SMALL and not self._smaller else level

    def _could_more(self) -> bool:
        """The last jobs could have been kept up one level higher: by their mean, as one that lasts may follow another
        that does not, and none so long that it would have been late.
        """
        count, share = (3, 16) if self.level is Level.PASS else (6, 9)
        last = list(self._took_ns)[-count:]
        most_ns = self._window_ns + (self._period_ns if self.level is Level.PASS else 0)
        if len(last) < count or max(last) > most_ns:
            return False
        return sum(last) * 10 <= count * self._period_ns * share

    def _go(self, level: Level) -> None:
        self.level = level
        self._recent.clear()
        self._took_ns.clear()
        self._good = 0


Outcome = Literal["result", "missed", "lost"]


@dataclass(frozen=True, slots=True, eq=False)
class TickComposition:
    """What to compose for a tick: ``patch`` at ``weight`` (0..1), or the unchanged frame where there is none."""

    patch: Generated | None
    weight: float
    kind: Kind


class Fallback:
    """What a tick shows when its mouth is there, when it is late, when there is nothing to dub.

    A tick without its result carries the last patch over: unweakened for ``held`` ticks after the patch's own, at 25
    and 30 fps one at full rate and two at half rate, then feathered out. So no patch is shown for more than two ticks
    beyond those.
    After such a hole mouths are feathered in again. Silence is no hole: a generator goes over to the live mouth, and
    comes back from it, by itself.
    A whole frame stays until there is another one: laid over the unchanged frame, it would show two heads.
    A patch is carried over within its shot only: behind a cut another person may be in the picture.
    """

    STEP = 1 / 3

    def __init__(self) -> None:
        self._patch: Generated | None = None  # the newest, None where the last result was the live mouth
        self._weight = 1.0
        self._at = self._of = -1  # the tick at hand, and the patch's

    def offer(self, patch: Generated, k: int) -> None:
        """A result that came after its tick ``k``: not fresh, but the newest to carry over."""
        if self._patch is None or patch.at_ns > self._patch.at_ns:
            self._patch, self._of = patch, k

    def step(self, outcome: Outcome, patch: Generated | None = None, shot: int = 0, held: int = 1) -> TickComposition:
        """Once per tick, in order, from tick 0. ``patch`` is the result where ``outcome`` is ``result``; ``shot`` the
        frame's.
        """
        self._at += 1
        if outcome == "result":
            self._of, self._patch = self._at, patch
            self._weight = min(1.0, self._weight + self.STEP)
            kind: Kind = "reused" if is_carried(patch) else "fresh"
            return TickComposition(patch, self._weight if patch is not None else 0.0, kind)
        if outcome == "lost":
            self._weight, self._patch = 0.0, None
        else:
            stays = isinstance(self._patch, WholeFrame) or self._at - self._of <= held
            change = self.STEP if stays else -self.STEP
            self._weight = min(1.0, max(0.0, self._weight + change))
        if self._patch is None or self._patch.shot != shot or self._weight < 1e-6:
            return TickComposition(None, 0.0, "passthrough")
        return TickComposition(self._patch, self._weight, "reused")
