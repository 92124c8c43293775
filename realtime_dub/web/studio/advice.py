"""What a session is told where mouths are not drawn: how many, why, and what would help.

Counts come as the run makes them (``stats.Recorder.frames``) and are judged over the last seconds. A budget is proposed
only where time is what is missing, and no more once two larger ones have not helped.
"""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from typing import Any, Literal

from realtime_dub.web.said import coded, said

Why = Literal["no face", "no voice", "late voice", "late", "others"]

WINDOW_S = 4.0
WARM_UP_S = 1.5  # a run that begins takes time from itself: what it misses then does not count
SAID, UNSAID = 0.2, 0.12  # shares of missing mouths: from the first on it is said, below the second no more
MOST_PART = 0.5  # no face, no voice or no time left by others is said where that is so most of the time
STEPS_MS = (200, 250, 300, 350, 400, 500, 600, 800, 1_000, 1_250, 1_500)
LEAST_STEP_MS = 30
HELPS = 0.1  # of the mouths that a larger budget brings, at least, to be worth its delay
NO_VOICE = {
    "mic": "Check the microphone, or choose another one.",
    "room": "Give the link to your interpreter, or choose another voice.",
    "server": "Check the server's microphone.",
}


@dataclass(frozen=True)
class Shares:
    """Of the ticks of the last ``seconds``: those with a mouth of their own, and why the others have none."""

    seconds: float
    fresh: float
    late: float
    late_voice: float
    no_face: float
    yielded: float


@dataclass(frozen=True)
class _Seen:
    at_s: float
    frames: dict[str, int]


class Advice:
    """One session's. Called on the server's loop, twice a second."""

    def __init__(self) -> None:
        self._seen: deque[_Seen] = deque()
        self._tried: dict[float, float] = {}  # budgets, in ms, and the share of fresh mouths that each brought
        self._why: Why | None = None
        self._counts_from_s: float | None = None  # from when on it counts

    def restart(self) -> None:
        """Another run is on air: it counts anew, and what was said of the one before is said no more."""
        self._seen.clear()
        self._why = self._counts_from_s = None

    def update(self, frames: dict[str, int], now_s: float) -> Shares | None:
        """What is so far; the shares as soon as there are some."""
        if self._seen and frames.get("total", 0) < self._seen[-1].frames.get("total", 0):
            self.restart()
        if self._counts_from_s is None:
            self._counts_from_s = now_s + WARM_UP_S
        if now_s < self._counts_from_s:
            return None
        self._seen.append(_Seen(now_s, dict(frames)))
        while len(self._seen) > 2 and now_s - self._seen[1].at_s >= WINDOW_S:
            self._seen.popleft()
        return self._shares()

    def to_dict(self, shares: Shares | None, budget_ms: float, voice: str) -> dict[str, Any]:
        """``mouths`` and ``advice`` for the page; ``voice`` is the session's choice."""
        if shares is None:
            return {"mouths": None, "advice": None}
        if shares.seconds >= WINDOW_S * 0.9:
            self._why = self._reason(shares)
            self._tried = {**self._tried, budget_ms: shares.fresh} if self._is_late else {}
        advice = self._advice(shares, budget_ms, voice) if self._why else None
        return {"mouths": asdict(shares), "advice": advice}

    @property
    def _is_late(self) -> bool:
        return self._why in ("late", "late voice")

    def _shares(self) -> Shares | None:
        first, last = self._seen[0], self._seen[-1]
        since = {name: count - first.frames.get(name, 0) for name, count in last.frames.items()}
        total = since.get("total", 0)
        if total <= 0:
            return None
        kinds = ("fresh", "starved", "faceless", "yielded")
        fresh, starved, faceless, yielded = (since.get(name, 0) / total for name in kinds)
        late = max(0.0, 1 - fresh - starved - faceless - yielded)
        seconds = round(last.at_s - first.at_s, 1)
        return Shares(seconds, *(round(share, 3) for share in (fresh, late, starved, faceless, yielded)))

    def _reason(self, shares: Shares) -> Why | None:
        if shares.no_face >= MOST_PART:
            return "no face"
        if shares.yielded >= MOST_PART:
            return "others"
        if shares.late_voice >= MOST_PART:  # sound that comes late is moved, and so has its mouth: there is none at all
            return "no voice"
        least = UNSAID if self._is_late else SAID
        if shares.late + shares.late_voice < least:
            return None
        return "late" if shares.late >= shares.late_voice else "late voice"

    def _advice(self, shares: Shares, budget_ms: float, voice: str) -> dict[str, Any]:
        kind = voice.partition(":")[0]
        if self._why == "no face":
            return _said("no face", "No face is seen.", "Look into the camera from the front, in good light.")
        if self._why == "no voice":
            return _said("no voice", "No voice comes in.", NO_VOICE.get(kind, "Choose another voice."))
        if self._why == "others":
            what = "Others came sooner, and the server is too slow for one more: your own mouth is shown."
            return _said("others", what, "It is tried again by itself.")
        missing = shares.late + shares.late_voice
        percent = round(100 * missing)
        what = said("{percent} % of the mouths came too late: an earlier one was shown, or your own.", percent=percent)
        if missing < SAID:  # it was more
            return _said(self._why or "late", what, "It is getting better.")
        budget = self._next_budget(budget_ms)
        if budget is None:
            do = "More delay does not help: close other programs, or start the server with a lower --fps."
        else:
            do = said("A delay budget of {budget} ms gives them more time.", budget=budget)
        return _said(self._why or "late", what, do, budget)

    def _next_budget(self, budget_ms: float) -> int | None:
        """The next larger one, unless the last two were of no use."""
        shares = [self._tried[ms] for ms in sorted(self._tried) if ms <= budget_ms]
        if len(shares) >= 3 and max(shares[-2:]) < shares[-3] + HELPS:
            return None
        return next((step for step in STEPS_MS if step >= budget_ms + LEAST_STEP_MS), None)


def _said(why: Why, what: str, do: str, budget_ms: int | None = None) -> dict[str, Any]:
    return {"why": why, "what": what, "do": do, "budget_ms": budget_ms, "codes": coded(what=what, do=do)}
