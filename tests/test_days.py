"""Three days without an end, in virtual time: counts that begin anew, crystals that are off, clocks that are put right.

What the live loop and the studio reckon with time is computed here for 72 hours, as it would be with visitors who stay
that long. What takes real hours (memory, descriptors, threads) is measured by `benchmarks/soak.py`.
"""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import numpy as np
import pytest
from aiortc.rtcrtpreceiver import TimestampMapper
from aiortc.rtp import RtpPacket

from realtime_dub.audio.drift import DriftEstimator
from realtime_dub.media import MS, NS, rescale, samples_to_ns
from realtime_dub.pipeline.schedule import Grid
from realtime_dub.web.rtc.aiortc_access import SteadyBuffer, ntp_ns, since_origin
from realtime_dub.web.rtc.capture_clock import STEP_NS, TRUST_NS, CaptureClock, TrackClock

pytestmark = pytest.mark.computes
DAYS_S = 72 * 3600
ROUND = 1 << 32
PPM = (-300, -50, 0, 50, 300)


@pytest.mark.parametrize("rate", [48_000, 90_000])
@pytest.mark.parametrize("first", [0, ROUND // 2, ROUND - 1])
def test_a_report_is_on_the_track_s_own_time_for_three_days(rate: int, first: int) -> None:
    mapper = TimestampMapper()
    for at_s in range(0, DAYS_S, 60):
        assert mapper.map((first + at_s * rate) % ROUND) == at_s * rate
        for off_s in (-5, 0, 2):  # a report is of a moment before or after the newest frame
            told = since_origin((first + (at_s + off_s) * rate) % ROUND, mapper._last, mapper._origin)
            assert told == (at_s + off_s) * rate


def test_packets_come_in_order_over_every_round_of_their_numbers() -> None:
    """Three rounds: an hour of audio. One in fifty is lost, one in twenty comes two later."""
    dice, buffer = random.Random(7), SteadyBuffer()
    numbers = [number for number in range(3 * (1 << 16)) if number == 0 or dice.random() > 0.02]
    for at in range(10, len(numbers) - 2, 20):
        numbers[at], numbers[at + 2] = numbers[at + 2], numbers[at]
    given = []
    for number in numbers:
        packet = RtpPacket(sequence_number=number & 0xFFFF, timestamp=(number * 960) % ROUND)
        packet._data = b""  # type: ignore[attr-defined]
        _, frame = buffer.add(packet)
        if frame is not None:
            given.append(frame.timestamp)
    steps = {(after - before) % ROUND for before, after in itertools.pairwise(given)}
    assert len(given) >= len(numbers) - 4
    assert max(steps) <= 960 * 20
    assert steps >= {960}
    assert all(step % 960 == 0 for step in steps)


@pytest.mark.parametrize("ppm", PPM)
@pytest.mark.parametrize("held", [False, True])
def test_the_line_follows_a_crystal_for_three_days(ppm: int, held: bool) -> None:
    """A frame a second. What is held moves in steps of 15 ms at most."""
    dice, clock, began_ns = random.Random(3), TrackClock(held), 5 * DAYS_S * NS
    off = []
    for at_s in range(0, DAYS_S, 2):
        pts_ns = at_s * NS + at_s * ppm * 1000  # the sender counts its own seconds
        arrival_ns = began_ns + at_s * NS + 30 * MS + round(dice.expovariate(1 / 3) * MS)
        off.append(pts_ns + clock.update(pts_ns, arrival_ns) - (began_ns + at_s * NS + 30 * MS))
    settled = np.abs(np.array(off[30:])) / MS
    assert settled.max() < (25 if held else 10)
    assert abs(np.mean(settled[-10_000:]) - np.mean(settled[:10_000])) < 1.0  # no worse on the third day


@pytest.mark.parametrize("ppm", PPM)
def test_a_sound_card_s_line_holds_for_three_days(ppm: int) -> None:
    dice, line, rate = random.Random(5), DriftEstimator(48_000), 48_000
    off = []
    for at_s in range(DAYS_S):
        true_ns = at_s * NS + at_s * ppm * 1000  # when the card has counted so many of its seconds
        line.update(at_s * rate, true_ns + round(dice.gauss(0, 1.0) * MS))
        off.append(line.time_ns(at_s * rate) - true_ns)
    settled = np.abs(np.array(off[600:])) / MS
    assert settled.max() < 4.0
    assert abs(line.skew_ppm - ppm) < 20
    assert settled[-7200:].mean() < 1.0


@pytest.mark.parametrize("fps", [Fraction(30_000, 1001), Fraction(25), Fraction(24_000, 1001), Fraction(15)])
def test_ticks_and_samples_add_up_after_three_days(fps: Fraction) -> None:
    grid, rate = Grid(7 * DAYS_S * NS, fps, 350 * MS), 48_000
    last = int(DAYS_S * fps)
    for k in (*range(0, last, 9_973), last):
        assert abs(grid.at(k) - grid.first_ns - Fraction(k * NS) / fps) <= Fraction(1, 2)
        first, count = grid.samples(k, rate)
        assert first + count == grid.samples(k + 1, rate)[0]
        assert abs(samples_to_ns(first, rate) - grid.offset(k)) <= NS // rate
    assert rescale(last * NS, fps.denominator, fps.numerator) == grid.offset(last)


def reports_at(clock: CaptureClock, at_s: int, wall_ns: int, kinds: tuple[str, ...] = ("audio", "video")) -> None:
    for kind in kinds:
        clock.report(kind, wall_ns, at_s * NS)


@pytest.mark.parametrize("step_ns", [3600 * NS, -3600 * NS, 300 * MS, -300 * MS, NS, -NS])
def test_a_page_whose_clock_is_put_right_keeps_its_lips(step_ns: int) -> None:
    """Between the report of one track and that of the other. Daylight saving is no step of this clock; NTP's are."""
    clock, shifts, wall_ns = CaptureClock(0), [], 1_700_000_000 * NS
    for at_s in range(900):
        if at_s == 300:
            reports_at(clock, at_s, wall_ns + step_ns + at_s * NS, ("audio",))
        elif at_s == 301 or at_s % 5 == 0:
            reports_at(clock, at_s, wall_ns + (step_ns if at_s > 300 else 0) + at_s * NS)
        clock.frame_ns(at_s * NS, (at_s + 1) * NS)
        for part in range(50):
            pts_ns = at_s * NS + part * 20 * MS
            shifts.append(clock.audio_ns(pts_ns, pts_ns + NS) - pts_ns - NS)
    before, after = np.array(shifts[290 * 50 : 299 * 50]), np.array(shifts[-100:])
    assert abs(after.mean() - before.mean()) < MS
    worst = np.abs(np.array(shifts[299 * 50 :]) - before.mean()).max()
    assert worst <= (50 * 2 * STEP_NS if abs(step_ns) < TRUST_NS else MS)


def test_seconds_of_ntp_become_nanoseconds_exactly() -> None:
    for seconds in (0, 1, 3_900_000_000, ROUND - 1):
        assert ntp_ns(seconds << 32) == seconds * NS
        assert ntp_ns((seconds << 32) + (1 << 31)) == seconds * NS + NS // 2
