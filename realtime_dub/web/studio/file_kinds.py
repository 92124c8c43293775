"""Which files are taken for what, by their suffixes; what is in them is looked at when they are here."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from realtime_dub.web.refusals import Refusal
from realtime_dub.web.said import said

FILMS = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".3gp")
SUFFIXES: dict[str, Literal["sound", "picture"]] = {
    **dict.fromkeys((".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff"), "sound"),
    **dict.fromkeys((".wma", ".amr", ".weba", ".mka", ".caf", ".ac3"), "sound"),
    # Of a video the sound is taken.
    **dict.fromkeys(FILMS, "sound"),
    **dict.fromkeys((".wmv", ".flv", ".ogv", ".mts", ".m2ts"), "sound"),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".jfif", ".webp", ".avif", ".heic", ".heif", ".bmp", ".gif"), "picture"),
    **dict.fromkeys((".tif", ".tiff"), "picture"),
}
FILES = {use: [suffix for suffix, kind in SUFFIXES.items() if kind == use] for use in ("sound", "picture")}
FILES |= {"avatar": [".zip"], "film": list(FILMS)}
KIND = "Files of the kind {kind} are not taken for this."
NO_KIND = "Files without a suffix are not taken."
LONGEST = 12  # characters of a suffix that are said


def taken_suffix(name: str, use: str | None = None) -> str:
    """Of a file that was called ``name`` and shall be used as one of ``FILES``. Raises Refusal."""
    suffix = PurePath(name[-64:].replace("\0", "")).suffix.lower()
    taken = FILES.get(use or "", list(SUFFIXES))
    if suffix not in taken:
        shown = suffix[:LONGEST] if suffix.isprintable() else ""
        what = said(KIND, kind=shown) if shown else said(NO_KIND)
        raise Refusal(415, what, said("Send one of {kinds}.", kinds=" ".join(taken)))
    return suffix
