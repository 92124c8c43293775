"""What an encoder made of one frame, cut into the payloads of RTP once for all who get it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from realtime_dub.media import ns_to_ticks
from realtime_dub.web.rtc.encoders import CUTS, NUMBERED, Payloads

MOST_SEGMENTS, MOST_BYTES, HEADERS = 64, 64_000, 60  # of packets that leave together; of each beside its payload
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
    runs: tuple[tuple[int, int], ...] = field(init=False)  # from and to which payload they may leave together

    def __post_init__(self) -> None:
        sizes = [len(head) + len(body) + 2 * self.is_numbered for head, body in self.payloads]
        object.__setattr__(self, "size", sum(sizes))
        object.__setattr__(self, "runs", tuple(runs(sizes)))

    @classmethod
    def of(cls, codec: str, data: bytes, leaves_ns: int, whole: bool = True) -> Packet:
        """``codec`` as ``video/vp8``; ``data``: all that the encoder made of the frame."""
        ticks = ns_to_ticks(leaves_ns, TIME_BASES[codec.partition("/")[0]])
        return cls(CUTS[codec](data), leaves_ns, ticks, whole, codec in NUMBERED)

    def at(self, kind: str, leaves_ns: int) -> Packet:
        """The same, leaving then."""
        return replace(self, leaves_ns=leaves_ns, ticks=ns_to_ticks(leaves_ns, TIME_BASES[kind]))


class Chain:
    """Frames of which each needs the one before. ``ask_whole``: one was left out, and what comes needs it."""

    def __init__(self, ask_whole: Callable[[], None]) -> None:
        self._ask_whole = ask_whole
        self._lost = False

    def takes(self, packet: Packet, is_full: bool) -> bool:
        """Whether it is of use there. ``is_full``: nothing is taken just now."""
        if not is_full and self._lost and not packet.whole:
            self._ask_whole()
        self._lost = is_full or (self._lost and not packet.whole)
        return not self._lost


def runs(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """One after another, from and to where packets have one size but for the last, which may be smaller."""
    begin = 0
    while begin < len(sizes):
        size, end = sizes[begin], begin + 1
        most = min(len(sizes), begin + min(MOST_SEGMENTS, max(1, MOST_BYTES // (size + HEADERS))))
        while end < most and sizes[end - 1] == size >= sizes[end]:
            end += 1
        yield begin, end
        begin = end
