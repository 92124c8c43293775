"""What the mouth does while the voice is silent: what may be asked for, and what is shown."""

from __future__ import annotations

from typing import Literal

Silence = Literal["auto", "live", "rest"]  # auto: live where the voice is the person's own, rest where it is another's
SilenceShows = Literal["live", "rest"]
AUTO: Silence = "auto"


def for_voice(silence: Silence, another: bool) -> Silence:
    """``silence`` for a voice of which it is known whether it surely is ``another``'s than the face's."""
    return "rest" if silence == AUTO and another else silence
