"""What sessions and recordings are called: so that nobody guesses it, and so that it tells whose they are.

Where several processes serve one studio (``workers``), each one's number stands before the names that it makes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

NAME_BYTES = 16


@dataclass(frozen=True, slots=True)
class Names:
    """Those that process ``number`` makes and has, where there are ``of``."""

    number: int = 0
    of: int = 1

    def new(self) -> str:
        token = secrets.token_urlsafe(NAME_BYTES)
        return token if self.of == 1 else f"{self.number}-{token}"

    def has(self, name: str) -> bool:
        return owner_of(name, self.of) == self.number


ALL = Names()


def owner_of(name: str, of: int) -> int:
    """The number of the process whose it is. What none of them has made, a former server's, is the first one's."""
    number = name.partition("-")[0]
    owner = int(number) if number.isdecimal() and len(number) < 4 else 0
    return owner if owner < of else 0
