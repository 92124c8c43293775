"""The live loop under a script: overload, stalls, gaps, odd rates. All in virtual time."""

from __future__ import annotations

from fractions import Fraction
from typing import ClassVar

import numpy as np
import pytest
from live_helpers import FACE, RATE, START_NS, PuppetGenerator, Run, frame_at, live, sound

from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import MS, NS
from realtime_dub.mouth.contract import MouthPatch
from realtime_dub.pipeline import precedence
from realtime_dub.pipeline.precedence import Order
from realtime_dub.pipeline.voice_feeder import Heard

pytestmark = pytest.mark.computes

PERIOD = 40 * MS


def pictures(run: Run) -> list[int]:
    """The number of the source frame in each tick."""
    corners = [each.stamped.tick.image[0, 0].astype(int) for each in run.output.taken]
    return [int(low + 251 * high) for low, high, _ in corners]


def offsets(run: Run) -> list[int]:
    """Sound against picture in each tick with a picture of its own, ns."""
    stamps = [each.stamped for each in run.output.taken]
    return [each.sound_ns - each.picture_ns for each in stamps if each.picture_ns is not None]


def test_quiet_run_is_all_fresh_and_inside_the_budget() -> None:
    run = live(10)
    frames = run.report.frames
    assert frames["total"] > 230
    assert frames["fresh"] == frames["total"]
    assert frames["lagged"] == frames["skipped"] == 0
    assert max(age for _, _, age, _ in run.kinds) <= 160 * MS
    assert run.report.latency_ms["max"] <= 160
    assert run.report.av_offset_ms["max"] <= 20
    assert np.all(np.diff(pictures(run)) == 1)
    assert run.generator.observed > 50
    assert run.output.closed


def test_ticks_keep_the_grid_and_the_sound_has_no_seam() -> None:
    run = live(6, fps=Fraction(30_000, 1001))
    taken = run.output.taken
    at = np.array([each.at_ns for each in taken])
    assert np.all(np.abs(np.diff(at) - 33_366_667) <= 1)
    assert [each.stamped.tick.seq for each in taken] == list(range(len(taken)))
    samples = run.output.sound[:, 0]
    first = round((taken[0].stamped.sound_ns - START_NS) * RATE / NS)
    lead = max(0, -first)
    assert np.array_equal(samples[lead:], sound(max(first, 0), len(samples) - lead)[:, 0])
    ends = [each.stamped.tick.pts_ns + each.stamped.tick.duration_ns for each in taken]
    assert ends[:-1] == [each.stamped.tick.pts_ns for each in taken[1:]]


def test_engine_hears_every_sample_once() -> None:
    run = live(3)
    sizes = [len(each) for each in run.generator.heard]
    starts = [round((pts - run.generator.pts[0]) * 16_000 / NS) for pts in run.generator.pts]
    assert starts == [0, *np.cumsum(sizes)[:-1]]


def test_overload_keeps_the_age_and_the_picture_and_comes_back() -> None:
    run = live(12, engine_ns=lambda since: 60 * MS if 3 * NS <= since < 8 * NS else 8 * MS)
    assert max(age for _, _, age, lagged in run.kinds if not lagged) <= 160 * MS
    assert run.report.frames["lagged"] == 0
    assert np.all(np.diff(pictures(run)) == 1)
    during = [kind for at, kind, _, _ in run.kinds if 4 * NS <= at < 8 * NS]
    assert 0 < during.count("fresh") < len(during)
    after = [kind for at, kind, _, _ in run.kinds if at >= 10 * NS]
    assert after
    assert set(after) == {"fresh"}


class Scaling(PuppetGenerator):
    """One that takes 60 ms for a mouth, and 20 on smaller pictures."""

    quality, works_at = "auto", "high"

    def cost_ns(self, since_ns: int) -> int:
        return 60 * MS if self.works_at == "high" else 20 * MS


def test_work_on_smaller_pictures_comes_before_fewer_mouths() -> None:
    generator = Scaling()
    run = live(5, engine_ns=generator.cost_ns, generator=generator)
    assert generator.works_at == "low"
    settled = [kind for at, kind, _, _ in run.kinds if NS <= at < 2 * NS]
    assert set(settled) == {"fresh"}
    assert set(run.report.rungs_s) == {"high", "low"}
    assert run.report.rungs_s["low"] > 4
    assert sum(run.report.rungs_s.values()) == pytest.approx(5, abs=0.5)
    assert "less detail" in run.report.notes[0]


def test_a_quality_that_was_asked_for_is_kept() -> None:
    generator = Scaling()
    generator.quality = "high"
    run = live(3, engine_ns=generator.cost_ns, generator=generator)
    assert generator.works_at == "high"
    assert set(run.report.rungs_s) == {"high"}


HD_30 = {"fps": Fraction(30), "camera_fps": Fraction(30), "track_ns": 10 * MS}
FAR = 104  # ms of look-ahead that leave a mouth 25 of the 160


def kinds_of(run: Run, since_ns: int = NS, until_ns: int = 1 << 62) -> list[str]:
    return [kind for at, kind, _, _ in run.kinds if since_ns <= at < until_ns]


def test_mouths_that_need_more_than_the_budget_leaves_are_begun_a_little_earlier() -> None:
    """28 ms, now and then 37, of the 33 that a frame lasts; the budget leaves 25."""
    costs = np.random.default_rng(1).choice([26, 28, 30, 37], 400, p=[0.3, 0.4, 0.25, 0.05]).tolist()
    run = live(5, engine_ns=lambda _: costs.pop() * MS, generator=PuppetGenerator(FAR), **HD_30)
    kinds = kinds_of(run)
    assert kinds.count("fresh") >= 0.95 * len(kinds)
    assert "passthrough" not in kinds
    late = [offset for offset in offsets(run) if offset]
    assert 0 < -min(late) <= 20 * MS  # the mouth speaks what was said so long before, as the report tells
    assert max(age for _, _, age, _ in run.kinds) <= 160 * MS
    assert np.all(np.diff(pictures(run)) == 1)


@pytest.mark.parametrize(("cost_ms", "kind"), [(45, "fresh"), (62, "reused")])
def test_mouths_that_take_longer_than_a_frame_are_made_for_every_second_one(cost_ms: int, kind: str) -> None:
    run = live(4, engine_ns=lambda _: cost_ms * MS, generator=PuppetGenerator(FAR), **HD_30)
    kinds = kinds_of(run)
    assert "passthrough" not in kinds
    assert 0.4 < kinds.count(kind) / len(kinds) <= 1
    assert min(int(each.stamped.tick.image[4, 4, 2]) for each in run.output.taken[40:]) == 255  # nothing flickers
    assert np.all(np.diff(pictures(run)) == 1)
    assert run.report.rungs_s["half rate"] > 3


def test_at_60_frames_a_second_a_mouth_is_carried_as_long() -> None:
    """A mouth that takes 60 ms is four ticks, which is no reason for the live mouth to flash."""
    sixty = {"fps": Fraction(60), "camera_fps": Fraction(60), "track_ns": 5 * MS}
    slow = lambda since: 60 * MS if 2 * NS <= since < 2.02 * NS else 8 * MS  # noqa: E731
    run = live(3, engine_ns=slow, generator=PuppetGenerator(FAR), **sixty)
    assert 1 <= run.report.frames["reused"] <= 10
    assert run.report.frames["passthrough"] == 0
    assert min(int(each.stamped.tick.image[4, 4, 2]) for each in run.output.taken[60:]) == 255


def test_a_machine_that_is_slow_for_some_seconds_is_dubbed_all_the_time_and_then_as_before() -> None:
    slow = lambda since: 60 * MS if 2 * NS <= since < 5 * NS else 18 * MS  # noqa: E731
    run = live(8, engine_ns=slow, generator=PuppetGenerator(FAR), **HD_30)
    during, after = kinds_of(run, 2 * NS, 5 * NS), kinds_of(run, 7 * NS)
    assert during.count("passthrough") <= 3
    assert set(after) == {"fresh"}
    assert np.all(np.diff(pictures(run)) == 1)


def test_what_composing_took_once_keeps_no_mouth_out_for_good() -> None:
    run = live(5, compose_ns=lambda since: 60 * MS if since < NS else 3 * MS, generator=PuppetGenerator(FAR), **HD_30)
    assert set(kinds_of(run, 3 * NS)) == {"fresh"}


def test_hopeless_overload_passes_through_and_comes_back_within_two_seconds() -> None:
    run = live(12, engine_ns=lambda since: 300 * MS if 3 * NS <= since < 8 * NS else 8 * MS)
    during = [kind for at, kind, _, _ in run.kinds if 4.5 * NS <= at < 8 * NS]
    assert set(during) == {"passthrough"}
    assert "too slow" in run.report.notes[0]
    after = [each for each in run.kinds if each[0] >= 10 * NS]
    assert {kind for _, kind, _, _ in after} == {"fresh"}
    full = [each for each in run.output.taken if each.at_ns - START_NS >= 10 * NS]
    assert all(each.stamped.tick.image[4, 4, 2] == 255 for each in full)
    assert max(age for _, _, age, _ in run.kinds) <= 160 * MS
    assert np.all(np.diff(pictures(run)) == 1)


def test_one_slow_job_costs_one_mouth_and_no_flicker() -> None:
    run = live(6, engine_ns=lambda since: 120 * MS if 3 * NS <= since < 3.04 * NS else 8 * MS)
    frames = run.report.frames
    assert 1 <= frames["reused"] <= 3
    assert frames["passthrough"] == 0
    settled = [each for each in run.output.taken if each.at_ns - START_NS >= 1 * NS]
    assert min(int(each.stamped.tick.image[4, 4, 2]) for each in settled) > 80


def test_a_generator_is_told_while_the_machine_is_short() -> None:
    class Spares(PuppetGenerator):
        short = False
        told: ClassVar[list[tuple[int, bool]]] = []

        def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
            self.told.append((at_ns - START_NS, self.short))
            return super().generate(tracked, at_ns)

    live(9, engine_ns=lambda since: 30 * MS if 2 * NS <= since < 4 * NS else 6 * MS, generator=Spares())
    assert {short for at, short in Spares.told if 0 < at < 2 * NS} == {False}
    assert {short for at, short in Spares.told if 3 * NS < at < 4 * NS} == {True}
    assert {short for at, short in Spares.told if at > 8 * NS} == {False}


def test_what_mouths_teach_is_learnt_behind_them_and_soon() -> None:
    class Learns(PuppetGenerator):
        learns_later = False
        waiting = 0
        told: ClassVar[list[int]] = []

        def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
            if at_ns > START_NS:  # warming up nobody is shown
                assert self.learns_later
                self.waiting += 1
            return super().generate(tracked, at_ns)

        def observe(self, tracked: TrackedFrame) -> None:
            self.told.append(self.waiting)
            self.waiting = 0
            super().observe(tracked)

    live(6, generator=Learns())
    assert len(Learns.told) >= 40
    assert set(Learns.told[1:]) == {3}


def test_slow_composer_never_publishes_late() -> None:
    run = live(6, compose_ns=lambda since: 90 * MS if 2 * NS <= since < 4 * NS else 4 * MS)
    assert max(age for _, _, age, lagged in run.kinds if not lagged) <= 160 * MS
    assert run.report.frames["lagged"] == 0
    assert {kind for at, kind, _, _ in run.kinds if at >= 5 * NS} == {"fresh"}


@pytest.mark.parametrize(("stall_ms", "most"), [(25, 0), (45, 1), (75, 2), (105, 3)])
def test_late_loop_shows_the_last_picture_on_and_never_one_of_another_instant(stall_ms: int, most: int) -> None:
    held = 0
    for phase_ms in range(0, 40, 5):
        from_ns = 3 * NS + phase_ms * MS
        run = live(5, asleep=(from_ns, from_ns + stall_ms * MS))
        assert run.report.frames["lagged"] <= most
        held += run.report.frames["lagged"]
        assert max(map(abs, offsets(run))) <= 20 * MS
        assert max(age for _, _, age, lagged in run.kinds if not lagged) <= 160 * MS
        assert np.all(np.diff(pictures(run)) >= 0)
    assert (held > 0) == (most > 0)


def test_camera_stall_is_lagged_and_then_over() -> None:
    run = live(8, stalls=((2 * NS, 4 * NS),))
    lagged = [at for at, _, _, is_lagged in run.kinds if is_lagged]
    assert 40 <= len(lagged) <= 52
    assert max(age for _, _, age, is_lagged in run.kinds if not is_lagged) <= 160 * MS
    assert max(lagged) < 4.3 * NS
    at = np.array([each.at_ns for each in run.output.taken])
    assert np.all(np.diff(at) == PERIOD)


def test_voice_gap_is_silence_and_the_loop_goes_on() -> None:
    run = live(8, gaps=((2 * NS, 4 * NS),))
    at = np.array([each.at_ns for each in run.output.taken])
    assert np.all(np.diff(at) == PERIOD)
    silent = [each for each in run.output.taken if not each.stamped.tick.audio.samples.any()]
    assert 48 <= len(silent) <= 52
    assert run.report.frames["fresh"] >= 0.99 * run.report.frames["total"]
    samples = run.output.sound[:, 0]
    first = round((run.output.taken[0].stamped.sound_ns - START_NS) * RATE / NS)
    late = samples[5 * RATE :]
    assert np.array_equal(late, sound(first + 5 * RATE, len(late))[:, 0])
    assert run.report.losses["gaps"] == 1


@pytest.mark.parametrize("fps", [Fraction(15), Fraction(24), Fraction(2499, 100), Fraction(2501, 100), Fraction(60)])
def test_any_camera_rate_on_the_grid(fps: Fraction) -> None:
    run = live(10, camera_fps=fps)
    assert max(age for _, _, age, lagged in run.kinds if not lagged) <= 160 * MS
    assert run.report.frames["lagged"] == 0
    assert run.report.frames["fresh"] >= 0.99 * run.report.frames["total"]
    assert np.all(np.diff(pictures(run)) >= 0)


def test_lost_face_passes_through_and_comes_back_feathered() -> None:
    run = live(6, faceless=((2 * NS, 3 * NS),))
    lost = [kind for at, kind, _, _ in run.kinds if kind == "passthrough"]
    assert len(lost) == 25
    weights = [int(each.stamped.tick.image[4, 4, 2]) for each in run.output.taken]
    back = len(weights) - 1 - weights[::-1].index(0)
    assert weights[back + 1 : back + 5] == [85, 170, 255, 255]


def test_silence_hands_the_live_mouth_back_and_counts_as_fresh() -> None:
    quiet = PuppetGenerator(speaks=lambda at_ns: not 2 * NS <= at_ns - START_NS < 3 * NS)
    run = live(5, generator=quiet)
    assert run.report.frames["fresh"] == run.report.frames["total"]
    weights = [int(each.stamped.tick.image[4, 4, 2]) for each in run.output.taken]
    assert 24 <= weights.count(0) <= 26


def test_no_face_at_the_start_is_said_once() -> None:
    run = live(2, faceless=((0, NS),))
    assert [note for note in run.report.notes if "first picture" in note] == [run.report.notes[0]]


def test_end_of_the_picture_and_seconds_end_the_run() -> None:
    assert live(10, frames=50).report.frames["total"] <= 51
    assert live(10, limit=2.0).report.frames["total"] == 50


def test_a_suspended_machine_catches_up_and_goes_on() -> None:
    asleep = ((3 * NS, 8 * NS),)
    run = live(14, stalls=asleep, gaps=asleep, asleep=asleep[0])
    taken = run.output.taken
    assert [each.stamped.tick.seq for each in taken] == list(range(len(taken)))
    assert max(age for _, _, age, lagged in run.kinds if not lagged) <= 160 * MS
    late = [each for each in taken if each.at_ns - START_NS >= 9 * NS]
    assert np.all(np.diff([each.at_ns for each in late]) == PERIOD)
    assert {kind for at, kind, _, _ in run.kinds if at >= 10 * NS} == {"fresh"}
    samples = run.output.sound[:, 0]
    first = round((taken[0].stamped.sound_ns - START_NS) * RATE / NS)
    # What came before the loop had caught up is spoken after it: a little late, and whole.
    late = round((sound(first + len(samples) - 1, 1)[0, 0] - samples[-1]) * 8_000) % 8_000
    assert late < 0.2 * RATE
    assert np.array_equal(samples[-RATE:], sound(first + len(samples) - RATE - late, RATE)[:, 0])


def test_a_microphone_without_a_voice_is_said_to_have_none() -> None:
    whispers = live(3, generator=PuppetGenerator(speaks=lambda at_ns: False))
    muted = live(3, gaps=((0, 3 * NS),))
    assert not any("no voice" in note for note in live(3).report.notes)
    [whispered] = [note for note in whispers.report.notes if "no voice was heard in" in note]
    [silent] = [note for note in muted.report.notes if "no voice was heard in" in note]
    assert "nothing in it is clear enough" in whispered
    assert "silent all through" in silent
    assert not any("no voice" in note for note in live(1, gaps=((0, NS),)).report.notes)  # it may have come next


def test_a_mouth_that_is_never_drawn_is_not_laid_to_the_voice() -> None:
    heard = Heard()
    heard.sound(np.ones(1, np.float32))
    seen = TrackedFrame(frame_at(0, 0), FACE)
    heard.mouth(seen, None, {"jawOpen": 0.4})
    note = heard.note("voice.wav", True)
    assert note is not None
    assert note.startswith("no mouth was drawn: in every picture the face is turned")
    heard.mouth(seen, None, {"jawOpen": 0.0})
    assert heard.note("voice.wav", True) == note


def test_who_yields_to_others_makes_no_mouths_hears_on_and_comes_back() -> None:
    order = Order()
    first, second = order.take_place(), order.take_place()

    def engine_ns(since_ns: int) -> int:
        if 3 * NS <= since_ns < 3 * NS + PERIOD:  # who came first has none in time
            for _ in range(precedence.MISSED):
                first.wanted(False, START_NS + since_ns)
        return 8 * MS

    run = live(40, engine_ns=engine_ns, place=second)
    frames, rest = run.report.frames, precedence.YIELD_NS // PERIOD
    assert abs(frames["yielded"] - rest) <= 3
    assert frames.get("slow", 0) <= 30  # while it climbs
    during = {kind for at, kind, _, _ in run.kinds if 4 * NS <= at < 33 * NS}
    after = {kind for at, kind, _, _ in run.kinds if at >= 36 * NS}
    assert (during, after) == ({"passthrough"}, {"fresh"})
    assert np.all(np.diff(pictures(run)) == 1)
    sizes = [len(each) for each in run.generator.heard]
    assert max(sizes) <= 16_000 * 3 // 4  # there is nothing to be caught up with
    starts = [round((pts - run.generator.pts[0]) * 16_000 / NS) for pts in run.generator.pts]
    assert starts == [0, *np.cumsum(sizes)[:-1]]
