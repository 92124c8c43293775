"""The one door through which a media file of the user's is opened for reading, whatever it is called.

FFmpeg never sees the name. To it a name may be an address (``12:30.mp4`` has a protocol in front), a pattern
(``a%d.gif`` is a row of pictures), or bytes that it cannot encode. It sees a plain file that has been opened, and no
other: a playlist that calls itself a film opens nothing more, neither on this machine nor elsewhere.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import av

from realtime_dub.bounds import MOST_PIXELS
from realtime_dub.errors import MediaError
from realtime_dub.paths import reason, size_of_plain_file

BUFFER_BYTES = 1 << 18  # each read waits for the interpreter: fewer and larger ones
# A pipe that nobody writes to would hold the program up for ever; of a file nothing is different.
NOTHING_ELSE = {"protocol_whitelist": "none"}  # what a list of files or of network streams is kept from
# FFmpeg decodes the first frames to learn what they are, before anybody could look at their size.
WITHIN_BOUNDS = {"max_pixels": str(MOST_PIXELS)}
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class MediaFile:
    """A plain file with something in it, opened for reading; what PyAV asks of a file, and no more."""

    def __init__(self, path: str | Path, do: str) -> None:
        """Raises MediaError, with ``do`` as its advice, for what is not there, is no plain file or is empty."""
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(path, READ)
            self.size = size_of_plain_file(os.fstat(self._descriptor))
        except FileNotFoundError:
            raise MediaError("no such file:", str(path), do) from None
        except (OSError, ValueError) as error:  # ValueError: a name with a zero byte
            self.close()
            raise MediaError("cannot read", f"{path}: {reason(error)}", do) from error
        suffix = Path(path).suffix
        # All of the name that FFmpeg may know: some formats it tells by nothing else.
        self.name = f"media{suffix}" if suffix[1:].isalnum() and suffix.isascii() else "media"

    def read(self, count: int = -1) -> bytes:
        """At most ``count`` bytes, all that is left where it is negative. Raises FFmpeg's error."""
        if self._descriptor is None:
            return b""
        try:
            return os.read(self._descriptor, self.size if count < 0 else count)
        except OSError as error:  # the disk was taken away: told as FFmpeg tells it of a file that it opened itself
            raise av.FFmpegError(error.errno or 0, error.strerror or str(error)) from error

    def seek(self, offset: int, whence: int = 0) -> int:
        return os.lseek(self._opened(), offset, whence)

    def tell(self) -> int:
        return self.seek(0, os.SEEK_CUR)

    def close(self) -> None:
        """Idempotent."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with suppress(OSError):
                os.close(descriptor)

    def _opened(self) -> int:
        if self._descriptor is None:
            raise OSError("closed")
        return self._descriptor

    def __del__(self) -> None:
        self.close()


class Media:
    """An open container, which is ``av.container.InputContainer`` in everything, and the file under it."""

    def __init__(self, container: Any, file: MediaFile) -> None:
        self._container, self._file = container, file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def close(self) -> None:
        """Idempotent. Not while another thread decodes."""
        self._container.close()
        self._file.close()


def open_alone(file: Any) -> Any:
    """``av.open`` of an opened file, and of nothing that it points to. Raises FFmpeg's errors, OSError, ValueError."""
    return av.open(
        file,
        "r",
        metadata_errors="replace",  # tags in an unknown encoding must not keep a film from playing
        buffer_size=BUFFER_BYTES,
        io_open=_open_nothing,
        options=WITHIN_BOUNDS,
        container_options=NOTHING_ELSE,
    )


def open_media(path: str | Path, do: str) -> Any:
    """The container in the file ``path``. Raises MediaError with ``do`` as its advice."""
    file = MediaFile(path, do)
    try:
        container = open_alone(file)
    except (av.FFmpegError, OSError, ValueError) as error:
        file.close()
        raise MediaError("cannot read", f"{path}: {reason(error)}", do) from error
    return Media(container, file)


def read_bytes(path: str | Path, do: str) -> bytes:
    """All of the file ``path``. Raises MediaError with ``do`` as its advice."""
    file = MediaFile(path, do)
    try:
        parts = iter(lambda: file.read(file.size), b"")
        return b"".join(parts)
    except (av.FFmpegError, MemoryError) as error:
        raise MediaError("cannot read", f"{path}: {reason(error)}", do) from error
    finally:
        file.close()


def _open_nothing(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("it points to other files")
