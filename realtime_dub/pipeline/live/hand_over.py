"""How ticks leave: the frame that is young enough, with the audio of the tick, to all outputs at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from realtime_dub.blend.composite import shows
from realtime_dub.blend.patch import rests
from realtime_dub.clock import Clock
from realtime_dub.face.unlooked import is_faceless
from realtime_dub.media import AudioBlock, Image, Tick, samples_to_ns
from realtime_dub.pipeline.coded import leaving
from realtime_dub.pipeline.contracts import ContactSheet
from realtime_dub.pipeline.live.deadlines import Deadlines
from realtime_dub.pipeline.live.executor import Executor
from realtime_dub.pipeline.live.outputs import Output, Stamped
from realtime_dub.pipeline.live.ticks import LiveState, Spawn, TickState
from realtime_dub.pipeline.marking import Marks
from realtime_dub.pipeline.schedule import TickComposition, TrackedSample
from realtime_dub.pipeline.statistics import QUEUED, Kind, Recorder
from realtime_dub.trust.badge import Badge
from realtime_dub.trust.notice import Notice

_MOST_HELD = 3  # ticks in a row that show the last frame on
_UNCHANGED = TickComposition(None, 0.0, "passthrough")
_HELD = TickComposition(None, 0.0, "reused")

Leaving = tuple[TrackedSample, Image, TickComposition, bool]  # the last: an old frame once more, lagged


class HandOver:
    """Gives ticks to the outputs, in order, each at its time."""

    def __init__(
        self,
        clock: Clock,
        state: LiveState,
        deadlines: Deadlines,
        outputs: Sequence[Output],
        recorder: Recorder,
        badge: Badge,
        notice: Notice | None = None,
        marks: Marks | None = None,
    ) -> None:
        self._clock, self._state, self._deadlines = clock, state, deadlines
        self._outputs, self._recorder, self._badge = outputs, recorder, badge
        self._notice, self._marks = notice, marks
        self._budget_ns = deadlines.grid.budget_ns
        self._last: tuple[TrackedSample, Image] | None = None  # the last frame that left
        self._held = 0  # ticks that showed it on

    def give(self, tick: TickState) -> tuple[TrackedSample, Image]:
        """Hand over what there is for ``tick``; the frame and the image that left."""
        now_ns = self._clock.now_ns()
        sample, image, composition, lagged = self._leaving(tick, now_ns)
        frame = sample.tracked.frame
        seen = sample.tracked.face is not None or shows(composition.patch, sample.tracked)
        kind: Kind = composition.kind if seen else "passthrough"
        self._recorder.handed_over(kind, now_ns - frame.pts_ns, lagged)
        if seen and rests(composition.patch):
            self._recorder.rested()
        self._count_missing(tick)
        self._recorder.compute(sample.track_ns + tick.engine_ns + tick.compose_ns)
        self._recorder.stage(QUEUED, sample.queued_ns + tick.queued_ns)
        fresh = composition.patch if composition.kind == "fresh" and image is not frame.image else None
        speaks_ns = frame.pts_ns if fresh is None else fresh.at_ns
        audio_ns, audio = self._audio(tick.k)
        grid = self._deadlines.grid
        start_ns, end_ns = grid.offset(tick.k), grid.offset(tick.k + 1)
        kept = tick.coded if image is tick.image else frame.coded if image is frame.image else None
        dubbed = image is not frame.image
        image, coded, changed = leaving(sample.tracked, image, composition.patch, kept, self._badge, start_ns)
        if self._marks is not None:
            audio = self._marks.sound(audio, frame.pts_ns)
        given = Tick(image, start_ns, end_ns - start_ns, tick.k, audio, tick.blendshapes, coded, changed, dubbed)
        for output in self._outputs:
            output.offer(Stamped(given, None if lagged else speaks_ns, audio_ns))
        return sample, image

    def _leaving(self, tick: TickState, now_ns: int) -> Leaving:
        """The tick's image if it is done and young enough; else the oldest frame that is, unchanged."""
        oldest_ns, choice = now_ns - self._budget_ns, tick.choice
        late = choice is not None and not choice.lagged and choice.sample.capture_ns < oldest_ns
        if late and self._last is not None and self._held < _MOST_HELD:
            # A newer frame would be ahead of the audio and have the live mouth.
            self._held += 1
            return *self._last, _HELD, True
        found = self._young(tick, oldest_ns)
        self._last, self._held = found[:2], 0
        return found

    def _young(self, tick: TickState, oldest_ns: int) -> Leaving:
        choice, image = tick.choice, tick.image if tick.done.is_set() else None
        if choice is not None and image is not None and (choice.lagged or choice.sample.capture_ns >= oldest_ns):
            return choice.sample, image, tick.composition, choice.lagged
        for sample in self._candidates(tick.k, oldest_ns):
            if sample.capture_ns >= oldest_ns:
                return sample, sample.tracked.frame.image, _UNCHANGED, False
        last = self._state.store.last
        assert last is not None  # the loop starts with a frame
        return last, last.tracked.frame.image, _UNCHANGED, True

    def _candidates(self, k: int, oldest_ns: int) -> Iterator[TrackedSample]:
        yield from (choice.sample for choice in self._state.choices_from(k))
        if (young := self._state.store.young(oldest_ns)) is not None:
            yield young

    def _audio(self, k: int) -> tuple[int, AudioBlock]:
        """The audio of tick k: the instant of its first sample, and the block on the output's time line."""
        voice, grid = self._state.voice, self._deadlines.grid
        first, count = grid.samples(k, voice.rate)
        audio_ns = voice.snap(grid.start_ns) + samples_to_ns(first, voice.rate)
        heard = voice.read(audio_ns, count)
        if self._notice is not None:
            heard = self._notice.over(heard, first)
        return audio_ns, AudioBlock(heard, voice.rate, samples_to_ns(first, voice.rate))

    def _count_missing(self, tick: TickState) -> None:
        if tick.choice is not None and is_faceless(tick.choice.sample.tracked):
            self._recorder.missing("faceless")
        if tick.yielded:
            self._recorder.missing("yielded")
        elif tick.starved:
            self._recorder.missing("starved")
        elif tick.implausible:
            self._recorder.missing("implausible")
        elif tick.outcome == "missed" and tick.choice is not None and not tick.choice.lagged:
            self._recorder.missing("slow")


class SheetFiller:
    """Puts a tick into the contact sheet now and then, on the composer's thread."""

    EVERY = 25  # ticks

    def __init__(self, sheet: ContactSheet | None, composer: Executor, spawn: Spawn) -> None:
        self._sheet, self._composer, self._spawn = sheet, composer, spawn

    def show(self, k: int, sample: TrackedSample, image: Image) -> None:
        if self._sheet is not None and k % self.EVERY == 0:
            self._spawn(self._add(self._sheet, sample, image, k), "contact sheet")

    async def _add(self, sheet: ContactSheet, sample: TrackedSample, image: Image, seq: int) -> None:
        frame, face = sample.tracked.frame, sample.tracked.face
        await self._composer.run(lambda: sheet.add(frame.image, face, image, seq))
