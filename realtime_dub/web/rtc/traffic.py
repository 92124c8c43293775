"""Bitrate, loss and round trip of a connection, from the counts that aiortc keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class Traffic:
    """Turns counts into what happened since the last look."""

    def __init__(self) -> None:
        self.lost = {"audio": 0, "video": 0}  # packets that should have come, so far
        self._earlier = dict(self.lost)  # by connections before this one
        self._last: dict[str, tuple[float, float]] = {}

    def restart(self) -> None:
        """Another connection, whose counts begin anew."""
        self._earlier = dict(self.lost)

    def per_second(self, name: str, count: float, now_s: float) -> float:
        """How fast ``count`` grew since the last call with that name."""
        before, since_s = self._last.get(name, (count, now_s))
        self._last[name] = count, now_s
        return round(max(0.0, count - before) / (now_s - since_s), 2) if now_s > since_s else 0.0

    def seen(self, found: Sequence[tuple[str, Any]], now_s: float) -> dict[str, float | None]:
        """``found``: (kind of media, one of aiortc's statistics)."""
        for kind, each in found:
            if each.type == "inbound-rtp":
                self.lost[kind] = self._earlier[kind] + max(0, each.packetsLost)
        sent = sum(each.bytesSent for _, each in found if each.type == "outbound-rtp")
        trips = [each.roundTripTime for _, each in found if each.type == "remote-inbound-rtp"]
        known = [trip for trip in trips if trip is not None]
        return {
            "bitrate_kbps": round(self.per_second("bytes", sent, now_s) * 8 / 1000, 1),
            "loss_percent": round(self._loss(found, now_s), 2),
            "rtt_ms": round(1000 * max(known), 1) if known else None,
        }

    def _loss(self, found: Sequence[tuple[str, Any]], now_s: float) -> float:
        """The worse direction, in percent."""
        there = [100 * each.fractionLost / 256 for _, each in found if each.type == "remote-inbound-rtp"]
        received = [each for _, each in found if each.type == "inbound-rtp"]
        lost = self.per_second("lost", sum(each.packetsLost for each in received), now_s)
        came = self.per_second("came", sum(each.packetsReceived for each in received), now_s)
        here = 100 * lost / (lost + came) if lost + came else 0.0
        worst: float = max([here, *there])
        return worst
