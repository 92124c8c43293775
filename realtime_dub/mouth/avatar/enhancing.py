"""What makes an avatar's face crisper once it is painted: our own filter, or a network that people own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from realtime_dub.media import Floats, Image
from realtime_dub.mouth.avatar.edges import Points2

__all__ = ["Enhancer", "Seen"]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """A painted picture, and what is known of it."""

    picture: Image  # (n, n, 3), at the size that is shown, with what is behind the person
    share: Floats  # (n, n) 0..1: how much of each pixel is the person
    face: Points2  # (478, 2) where the face's points are, pixels


class Enhancer(Protocol):
    """Pictures of one avatar, one after another. It keeps nothing from one to the next."""

    terms: str  # one line; "" = none
    compute_ns: int  # expected p95 of one call

    def enhanced(self, seen: Seen) -> Image:
        """A new picture (n, n, 3). Where ``share`` is zero, it is the old one."""
