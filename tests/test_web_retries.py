"""What has failed is tried again, less and less often; and who is refused for asking too often is let in again."""

from __future__ import annotations

from realtime_dub.web.http.callers import CallerRates
from realtime_dub.web.retries import Retries


def test_each_rest_is_twice_the_last_until_a_calm_time() -> None:
    retries = Retries(0.5, 3.0, 60.0)
    assert [retries.pause_s(now_s) for now_s in (0, 1, 3, 6, 10)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    assert retries.pause_s(70.1) == 0.5


def test_who_asks_on_while_refused_is_let_in_again() -> None:
    bucket = CallerRates(per_s=0.5, burst=2)
    assert [bucket.take("office", 0.0) for _ in range(3)] == [True, True, False]
    taken = [bucket.take("office", 0.5 * count) for count in range(1, 41)]
    assert sum(taken) == 10
