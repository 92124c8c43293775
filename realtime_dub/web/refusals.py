"""What a request is refused with: a status and two sentences."""

from __future__ import annotations

from realtime_dub.errors import RealtimeDubError


class Refusal(Exception):
    """``what`` happened and what to ``do``, one sentence each; answered as ``{"error": {"what", "do"}}``."""

    def __init__(self, status: int, what: str, do: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(what)
        self.status, self.what, self.do, self.headers = status, what, do, headers or {}

    def body(self) -> dict[str, dict[str, str]]:
        return {"error": {"what": self.what, "do": self.do}}


def refused(error: RealtimeDubError, status: int = 422) -> Refusal:
    """An error of ours as a refusal: its line says what happened, and after the semicolon what to do."""
    what, _, do = str(error).partition("; ")
    return Refusal(status, what, do or "change the request")
