"""Which files are taken for what, by their suffixes; what is in them is looked at when they are here."""

from __future__ import annotations

from pathlib import PurePath
from typing import Literal

from realtime_dub.web.refusals import Refusal

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
LONGEST = 12  # characters of a suffix that are said


def taken_suffix(name: str, use: str | None = None) -> str:
    """Of a file that was called ``name`` and shall be used as one of ``FILES``. Raises Refusal."""
    suffix = PurePath(name[-64:].replace("\0", "")).suffix.lower()
    taken = FILES.get(use or "", list(SUFFIXES))
    if suffix not in taken:
        said = suffix[:LONGEST] if suffix.isprintable() else ""
        what = f"Files of the kind {said}" if said else "Files without a suffix"
        as_what = f" as {'an' if use == 'avatar' else 'a'} {use}" if use in FILES else ""
        raise Refusal(415, f"{what} are not taken{as_what}.", f"Send one of {' '.join(taken)}.")
    return suffix
