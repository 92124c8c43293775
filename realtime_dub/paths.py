"""What paths mean and whether two of them are one file. Nothing here opens a user's file to change it."""

from __future__ import annotations

import os
from pathlib import Path


def is_missing(path: str | Path) -> bool:
    """Nothing is there. False where that cannot be known: who opens it learns why."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # no right, a name that is too long, a zero byte
        return False
    return False
