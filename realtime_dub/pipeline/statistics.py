"""What a run measured, in memory that does not grow: counts, histograms of fixed size, a live line and a report.

How a tick is counted (each exactly once in the first three):

``fresh``
    The generator's result for this very tick was in time, "None: the live mouth stays" included. Where mouths are slow
    it is of a voice up to 20 ms older (``schedule.Haste``), which ``av_offset_ms`` tells.
``reused``
    It was not, and the last patch was carried over to the current frame by the change of pose. At half rate that is
    every second tick, or every tick, where mouths come after their own and in time for the next.
``passthrough``
    The unchanged frame: the result missed and the last patch is too old, or the frame has no face to dub
    (lost, in profile, partly outside).

Beside that, counted apart: ``lagged`` ticks showed the last picture on, because the source stalled or was lost or
because the program itself was too late for a newer one (then ``reused``, too); ``skipped`` pictures were ready and a
publisher was too slow to take them. Where there are any: ``starved`` ticks had no sound to make a mouth of when it had
to be begun, and heard silence; ``slow`` ticks had their sound and no mouth in time, or it was left out after such ones;
``faceless`` ticks had no face to dub; for ``implausible`` ones the net gave what can be no mouth: the last one was
held, or the frame passed through; ``yielded`` ones had none because the machine was kept for visitors who came sooner
(``precedence``). ``rested`` ticks show a mouth that was shut because the voice was silent.
``latency_ms`` is the age of the picture at hand-over and leaves lagged ticks out: they have no new picture to be late.
``compute_ms`` is what tracking, engine and composing of a tick took on the clock. Live they work one after another
(``live/turns.py``): what they waited for their turns before is not in it, and is ``queued`` of ``stages_ms``.
``av_offset_ms`` is how much the instants differ that picture and sound leaving together belong to: the voice that a
fresh mouth speaks, else the capture of the picture, against the capture of the first sample. A mouth that is carried
over is a current picture with a mouth one or two ticks old: that is what ``reused`` counts.
``losses`` are told by the parts of the run themselves; ``losses.Lost`` says what each count means.
"""

from __future__ import annotations

import json
import threading
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from realtime_dub.errors import one_line
from realtime_dub.losses import lost_by
from realtime_dub.media import MS, NS
from realtime_dub.mouth.contract import LearnsOwnVoice, OwnVoiceLearnt, RestsInSilence
from realtime_dub.pipeline.measures import Histogram, Percentiles, rss_mb

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Kind = Literal["fresh", "reused", "passthrough"]
Missing = Literal["starved", "slow", "faceless", "implausible", "yielded"]

QUEUED = "queued"  # the stage that is none: what those of a tick waited for their turns
SILENCES = {"live": "the live mouth", "rest": "the mouth at rest"}
SETTLED_TICKS = 125  # encoders and decoders allocate their queues in the first seconds; growth is what comes after


@dataclass(frozen=True, slots=True)
class Report:
    """What a run measured. Times in ms."""

    budget_ms: float
    frames: dict[str, int]
    losses: dict[str, int]
    latency_ms: Percentiles
    stages_ms: dict[str, Percentiles]
    compute_ms: Percentiles
    av_offset_ms: Percentiles
    rss_mb: Percentiles
    engine: str
    bundle: str
    backend: str = ""  # what ran the bundle's network
    own_voice: OwnVoiceLearnt = field(default_factory=OwnVoiceLearnt)  # what came of the person's own
    rungs_s: dict[str, float] = field(default_factory=dict)  # live: how long the engine was asked for what
    camera: str = ""  # what a camera was asked for, and why
    badge: str = ""  # that tells people: when it is shown, where, how large; or off
    silence: str = ""  # what is shown while the voice is silent, at the end: live or rest; "" from engines without it
    notes: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()  # outputs that ended before their time, and why

    def as_dict(self) -> dict[str, object]:
        names = ("budget_ms", "frames", "losses", "latency_ms", "stages_ms", "compute_ms", "av_offset_ms", "rss_mb")
        fields = {
            name: getattr(self, name) for name in (*names, "engine", "bundle", "backend", "camera", "silence", "badge")
        }
        return fields | {"own_voice": asdict(self.own_voice), "rungs_s": self.rungs_s}

    def to_json(self) -> str:
        """One line of JSON with the names above; ``notes`` and ``lost`` are for people and stay out of it."""
        return json.dumps(self.as_dict(), ensure_ascii=False)

    def _what_ran(self) -> str:
        return f"{self.bundle} on {self.backend}" if self.backend not in ("", "none") else self.bundle

    def table(self) -> Table:
        """The report for a terminal."""
        from rich.table import Table
        from rich.text import Text

        columns = ("", "p50", "p95", "p99", "max")
        title = Text(f"{self.engine} ({self._what_ran()})", "table.title")  # as it is: a name may look like markup
        table = Table(*columns, title=title, title_justify="left", min_width=78)
        rows = {"latency, capture to hand-over": self.latency_ms} if self.budget_ms else {}
        rows["compute per frame"] = self.compute_ms
        for name, row in {**rows, **self.stages_ms}.items():
            table.add_row(
                f"{name}, ms", *(f"{row[key]:.1f}" if key in row else "" for key in ("p50", "p95", "p99", "max"))
            )
        table.caption = Text(self._caption(), "table.caption")
        table.caption_justify = "left"
        return table

    def _caption(self) -> str:
        frames = ", ".join(f"{count} {name}" for name, count in self.frames.items())
        offset, rss = self.av_offset_ms, self.rss_mb
        budget = f"budget {self.budget_ms:g} ms; " if self.budget_ms else ""
        losses = ", ".join(f"{count} {name}" for name, count in self.losses.items() if count)
        lines = [
            f"frames: {frames}",
            *([f"lost: {losses}"] if losses else []),
            f"{budget}A/V offset {offset['mean']:+.1f} ms mean, {offset['max']:.1f} ms max; "
            f"memory {rss['start']:.0f} -> {rss['end']:.0f} MB",
            *([f"camera asked for {self.camera}"] if self.camera else []),
            *self._own(),
            *([f"quality: {_rungs(self.rungs_s)}"] if len(self.rungs_s) > 1 else []),
            *([f"silence shows {SILENCES[self.silence]}"] if self.silence else []),
        ]
        return "\n".join([*lines, *map(one_line, self.notes)])

    def _own(self) -> list[str]:
        own = self.own_voice
        beside = f" ({own.heard_s:.0f} s of it beside the dubbed one)" if own.heard_s else ""
        if not own.frames and not own.heard_s:
            return []
        tuned = f", the net tuned by {own.tuned} of them" if own.tuned else ""
        return [f"learnt of your own voice{beside}: {own.frames} frames{tuned}{_late(own.late_ms)}"]


def _late(late_ms: float | None) -> str:
    """What to say of a picture and its voice that are out of step; "" where they are not, or it is not known."""
    if not late_ms:
        return ""
    behind = "the picture comes {} ms behind it" if late_ms > 0 else "it comes {} ms behind the picture"
    return f"; {behind.format(round(abs(late_ms)))}"


def _rungs(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {each:.1f} s" for name, each in seconds.items())


@dataclass
class _Window:
    """What the live line shows: since it was last drawn."""

    since_ns: int = 0
    ticks: int = 0
    oldest_ns: int = 0
    offset_ns: int = 0
    fps: float = 0.0
    use: float = 0.0


class Runs(Protocol):
    """What makes the mouths of a run."""

    name: str
    bundle: str
    backend: str


@dataclass
class Recorder:
    """Collects from any thread. ``budget_ns`` = 0 where there is none (files).

    ``handed_over`` is called once per tick, ``offset`` once per tick and publisher, ``stage`` once per job.
    """

    budget_ns: int = 0
    engine: str = ""
    bundle: str = ""
    backend: str = ""
    camera: str = ""
    badge: str = ""
    frames: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("total", "fresh", "reused", "passthrough", "lagged", "skipped"), 0)
    )
    start_mb: float = field(default_factory=rss_mb)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._latency, self._compute = Histogram(), Histogram()
        self._stages: dict[str, Histogram] = {}
        self._offsets = [0, 0, 0]  # count, sum, largest magnitude
        self._rungs_ns: dict[str, int] = {}
        self._notes: dict[str, None] = {}
        self._lost: list[str] = []
        self._losing: tuple[object, ...] = ()
        self._engine: Runs | None = None
        self._window = _Window()

    def runs(self, budget_ns: int, engine: Runs, badge: str = "") -> None:
        """What the run is, where that was not known yet."""
        self.budget_ns, self._engine, self.badge = budget_ns, engine, badge
        self.engine, self.bundle, self.backend = engine.name, engine.bundle, engine.backend

    def begin(self) -> None:
        """Everything is loaded and warm: memory growth counts from here, in longer runs from ``SETTLED_TICKS`` on."""
        self.start_mb = rss_mb()

    def collect(self, *parts: object) -> None:
        """From now on reports tell what these have lost, those of them that are a ``Loses``."""
        self._losing += parts

    def stage(self, name: str, took_ns: int) -> None:
        """One job of the stage ``name`` took so long."""
        with self._lock:
            if (stage := self._stages.get(name)) is None:
                stage = self._stages[name] = Histogram()
            stage.add(took_ns)

    def compute(self, took_ns: int) -> None:
        """Tracking, engine and compositing of one tick together."""
        with self._lock:
            self._compute.add(took_ns)

    def handed_over(self, kind: Kind, age_ns: int | None, lagged: bool = False) -> None:
        """A tick left; ``age_ns`` = hand-over minus capture, None in a file, where there is no such thing."""
        with self._lock:
            self.frames["total"] += 1
            if self.frames["total"] == SETTLED_TICKS:
                self.start_mb = rss_mb()
            self.frames[kind] += 1
            self.frames["lagged"] += lagged
            self._window.ticks += 1
            if age_ns is not None and not lagged:
                self._latency.add(age_ns)
                self._window.oldest_ns = max(self._window.oldest_ns, age_ns)

    def worked(self, rung: str, for_ns: int) -> None:
        """For so long the engine was asked for mouths of the quality, or at the rate, that ``rung`` names."""
        with self._lock:
            self._rungs_ns[rung] = self._rungs_ns.get(rung, 0) + for_ns

    def missing(self, what: Missing) -> None:
        """The tick that left has no mouth of its own, for want of sound, of time or of a face."""
        with self._lock:
            self.frames[what] = self.frames.get(what, 0) + 1

    def rested(self) -> None:
        """The tick that left shows a mouth that was shut because the voice was silent."""
        with self._lock:
            self.frames["rested"] = self.frames.get("rested", 0) + 1

    def skipped(self, pictures: int = 1) -> None:
        """A publisher was too slow for so many pictures."""
        with self._lock:
            self.frames["skipped"] += pictures

    def offset(self, offset_ns: int) -> None:
        """A/V offset of one tick at one publisher; positive = the mouth comes later than its sound."""
        with self._lock:
            count, total, largest = self._offsets
            self._offsets = [count + 1, total + offset_ns, max(largest, abs(offset_ns))]
            self._window.offset_ns = offset_ns

    def note(self, text: str) -> bool:
        """Keep a line for the report, once. True where it is new. At most 50 are kept."""
        with self._lock:
            if text in self._notes or len(self._notes) >= 50:
                return False
            self._notes[text] = None
            return True

    def lost(self, text: str) -> None:
        """An output ended before its time."""
        with self._lock:
            self._lost.append(text)

    def line(self, now_ns: int) -> Text:
        """One line for a terminal about the time since the last one."""
        from rich.text import Text

        with self._lock:
            self._roll(now_ns)
            shown, frames = self._window, self.frames
            parts = [f"{shown.fps:4.1f} fps", f"budget {shown.use:4.0%}"]
            parts += [f"{name} {frames[name]}" for name in ("fresh", "reused", "passthrough")]
            return Text("  ".join([*parts, f"A/V {shown.offset_ns / MS:+.1f} ms"]))

    def _roll(self, now_ns: int) -> None:
        old = self._window
        span_ns = now_ns - old.since_ns
        if span_ns < NS // 4 and old.since_ns:
            return
        use = old.oldest_ns / self.budget_ns if self.budget_ns else 0.0
        fps = old.ticks * NS / span_ns if old.since_ns else 0.0
        self._window = _Window(since_ns=now_ns, offset_ns=old.offset_ns, fps=fps, use=use)

    def report(self) -> Report:
        """Everything so far."""
        with self._lock:
            count, total, largest = self._offsets
            mean = total / count if count else 0.0
            return Report(
                budget_ms=round(self.budget_ns / MS, 3),
                frames=dict(self.frames),
                losses=asdict(lost_by(self._losing)),
                latency_ms=self._latency.summary(with_max=True),
                stages_ms={name: each.summary() for name, each in self._stages.items()},
                compute_ms=self._compute.summary(),
                av_offset_ms={"mean": round(mean / MS, 3), "max": round(largest / MS, 3)},
                rss_mb={"start": self.start_mb, "end": rss_mb()},
                engine=self.engine,
                bundle=self.bundle,
                backend=self.backend,
                camera=self.camera,
                badge=self.badge,
                own_voice=self._engine.own_voice if isinstance(self._engine, LearnsOwnVoice) else OwnVoiceLearnt(),
                rungs_s={rung: round(ns / NS, 3) for rung, ns in self._rungs_ns.items()},
                silence=self._engine.silence_shows if isinstance(self._engine, RestsInSilence) else "",
                notes=(*self._notes, *self._missing_notes()),
                lost=tuple(self._lost),
            )

    def _missing_notes(self) -> tuple[str, ...]:
        """That it was not the engine's slowness."""
        notes, total = [], self.frames["total"]
        if count := self.frames.get("starved", 0):
            what = "the voice paused or came late, the live mouth stayed"
            notes.append(f"no audio came in time for {count} of {total} frames: {what}")
        if count := self.frames.get("implausible", 0):
            what = "the last mouth was repeated, or the live mouth stayed; choose another --bundle"
            notes.append(f"the bundle gave no plausible mouth for {count} of {total} frames: {what}")
        return tuple(notes)
