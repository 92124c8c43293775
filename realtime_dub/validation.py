"""What pydantic refused, in few words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from realtime_dub.errors import one_line

_MOST = 60  # characters of a name: those of strangers may be long


@dataclass(frozen=True, slots=True)
class Problem:
    """The first of what is wrong."""

    where: str  # names, with dots between them; empty where it is the whole
    what: str  # no full stop
    kind: str  # pydantic's word for it
    given: Any


def first_problem(error: ValidationError) -> Problem:
    """Never more than the first: a sentence has room for one."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = one_line(".".join(str(part) for part in first["loc"]))[:_MOST]
    return Problem(where, first["msg"].removeprefix("Value error, "), first["type"], first["input"])
