"""Which kinds of file carry their credentials inside, and which have them beside, in a file of their own."""

from __future__ import annotations

from pathlib import Path

SIDECAR = ".c2pa"
OPAQUE = "application/octet-stream"  # of what is signed byte by byte, with its credentials beside
_READ = 16  # bytes
# What the content begins with, and from which byte.
_SIGNS = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WAVE", "audio/wav"),
    (8, b"WEBP", "image/webp"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp", "video/mp4"),
)


def kind_of(head: bytes) -> str:
    """The media type of what begins with ``head``, OPAQUE for what cannot hold credentials inside.

    >>> kind_of(b"RIFF....WAVEfmt "), kind_of(b"Matroska, or what not")
    ('audio/wav', 'application/octet-stream')
    """
    return next((kind for at, sign, kind in _SIGNS if head.startswith(sign, at)), OPAQUE)


def kind_of_file(path: Path) -> str:
    """By its content, not its name. Raises OSError."""
    with path.open("rb") as file:
        return kind_of(file.read(_READ))


def sidecar_of(path: Path) -> Path:
    """Where the credentials of a file lie that cannot hold them: ``talk.mkv.c2pa``."""
    return path.with_name(path.name + SIDECAR)
