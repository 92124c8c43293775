"""Who is to sign, as it was asked for. Light: what signs is loaded when something is signed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SigningOptions:
    """All None: this user's own certificate.

    ``url``: a service that signs what is posted to it; ``tsa``: one that says when it was signed (RFC 3161).
    """

    cert: Path | None = None
    key: Path | None = None
    url: str | None = None
    tsa: str | None = None

    @property
    def chosen(self) -> bool:
        """Somebody asked for another than the usual signer, and wants to know at once if it cannot be had."""
        return any(each is not None for each in (self.cert, self.key, self.url, self.tsa))
