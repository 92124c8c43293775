"""Where this user's keys lie: each below ``keys`` in the data folder, which keeps what cannot be made again.

Earlier versions kept them in other places; a key that is found there is moved here when it is asked for.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from realtime_dub.paths import data_folder, state_folder

CONSENT, SIGNING = "consent.key", "signing"  # a file; a folder with a key and its certificates


def consent_key() -> Path:
    """Of what seals records of consent; there may be none yet. Raises RuntimeError where there is no home."""
    return _place(CONSENT, state_folder() / "consent.key")


def signing_folder() -> Path:
    """Of what signs files; the same."""
    return _place(SIGNING, data_folder() / "credentials")


def _place(name: str, before: Path) -> Path:
    place = data_folder() / "keys" / name
    if not os.path.lexists(place) and os.path.lexists(before):
        # Another process may do the same at this moment: then it is there all the same. Where nothing may be written,
        # it goes on being used where it is.
        with suppress(OSError, shutil.Error):
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.move(before, place)
        return place if os.path.lexists(place) else before
    return place
