"""What an encoder made of one frame, cut into the payloads of RTP once for all who get it."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from realtime_dub.media import ns_to_ticks
from realtime_dub.web.rtc.encoders import CUTS, NUMBERED, Payloads

TIME_BASES = {"video": Fraction(1, 90_000), "audio": Fraction(1, 48_000)}


@dataclass(frozen=True, slots=True, eq=False)
class Packet:
    """``leaves_ns``: on the clock, ``ticks``: the same in the ticks of its kind; ``whole``: it needs none before it.

    Of each payload there are two parts; between them is the number of the frame in its connection, where
    ``is_numbered``.
    """

    payloads: Payloads
    leaves_ns: int
    ticks: int
    whole: bool = True
    is_numbered: bool = False
    size: int = field(init=False)  # bytes of all payloads

    def __post_init__(self) -> None:
        size = sum(len(head) + len(body) + 2 * self.is_numbered for head, body in self.payloads)
        object.__setattr__(self, "size", size)

    @classmethod
    def of(cls, codec: str, data: bytes, leaves_ns: int, whole: bool = True) -> Packet:
        """``codec`` as ``video/vp8``; ``data``: all that the encoder made of the frame."""
        ticks = ns_to_ticks(leaves_ns, TIME_BASES[codec.partition("/")[0]])
        return cls(CUTS[codec](data), leaves_ns, ticks, whole, codec in NUMBERED)
