"""An output over the network that does not end holds nobody up."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from patience import PATIENCE_S

from realtime_dub.web.publish import side_publisher
from realtime_dub.web.publish.loop_thread import LoopThread
from realtime_dub.web.publish.side_publisher import SidePublisher


class Stubborn(SidePublisher):
    """Its other side never answers."""

    def __init__(self) -> None:
        super().__init__()
        self._loop = LoopThread("stubborn")
        self.cancelled = threading.Event()

    async def _stop(self) -> None:
        try:
            await asyncio.sleep(600)
        finally:
            self.cancelled.set()


def test_an_output_that_does_not_end_is_left_after_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_publisher, "STOP_S", 0.2)
    publisher, since_s = Stubborn(), time.monotonic()
    publisher.close()
    publisher.close()
    assert time.monotonic() - since_s < PATIENCE_S
    assert publisher.cancelled.is_set()
    assert not [each for each in threading.enumerate() if each.name == "stubborn"]
