"""A file that is written while a run goes on, and is never left with half a piece at its end.

It grows by whole pieces and appears with the first: whenever its writer is killed or its disk is full, it ends with a
whole one.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO

from realtime_dub.errors import LostOutput, MediaError
from realtime_dub.media import NS
from realtime_dub.paths import check_place, reason, write_all

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
READER_PATIENCE_S = 10.0  # how long a pipe without a reader is waited for
POLL_S = 0.05


def _cannot_write(path: Path, error: OSError | ValueError) -> MediaError:
    full = getattr(error, "errno", None) in FULL
    return MediaError(
        "cannot write", f"{path}: {reason(error)}", "make room on the disk" if full else "choose another folder"
    )


def _check_writable(path: Path) -> None:
    """Raises MediaError where no file could be written to ``path``; leaves nothing there."""
    try:
        with suppress(FileNotFoundError):
            os.stat(path)  # raises for a name that cannot be
        place = Path(os.path.realpath(path))
        check_place(place)
        if not place.exists():
            tempfile.TemporaryFile(dir=place.parent).close()
        elif place.is_file():
            place.open("r+b").close()
        elif not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except (OSError, ValueError) as error:
        raise _cannot_write(path, error) from error


class GrowingFile:
    """A file that appears with its first piece. ``append`` writes whole pieces or raises OSError and takes them back.

    A named pipe gets its pieces as they come; so does a device. Both cannot be ``seekable``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.seekable = os.path.isfile(path) or not os.path.exists(path)
        self._file: IO[bytes] | None = None
        self._failure: LostOutput | None = None
        self._fate = ""  # of what was written, where it is not at its place any more

    def open(self) -> None:
        """Look whether it can be written, and wait for the reader of a pipe. Raises MediaError."""
        if not self.seekable and self.path.is_fifo():
            self._file = _open_pipe(self.path)
        else:
            _check_writable(self.path)

    def append(self, piece: bytes, patches: Iterable[tuple[int, bytes]] = ()) -> None:
        """Write a piece, then over earlier places: (where, what)."""
        if self._failure is not None:  # opening it again would wipe out what was written
            raise self._failure
        if self._file is None:
            self._file = open(self.path, "wb", buffering=0)  # noqa: SIM115 - closed by close()
        file = self._file
        self._check_untouched(file)
        try:
            write_all(file.fileno(), piece)
        except OSError:
            self._take_back(file)
            raise
        self.size += len(piece)
        for at, patch in patches if self.seekable else ():
            file.seek(at)
            write_all(file.fileno(), patch)
        if self.seekable:
            file.seek(self.size)

    def close(self) -> None:
        """Idempotent. Raises OSError where the file is not at its place any more, or its last bytes did not arrive."""
        file, self._file = self._file, None
        if file is None:
            return
        mine = os.fstat(file.fileno())
        try:
            self._check_untouched(file)
        finally:
            file.close()
        if self.seekable and not _is_at(self.path, mine):
            self._fate = "all of it is where it is now"
            raise FileNotFoundError(errno.ENOENT, "it was moved while it was written")

    def abandon(self) -> None:
        """Leave what there is; nothing, where there is no whole piece."""
        file, self._file = self._file, None
        if file is None:
            return
        with suppress(OSError):
            file.close()
        if self.seekable and not self.size and not self._fate:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def lost(self, error: Exception, kept_ns: int) -> LostOutput:
        """The error to raise after ``append`` or ``close`` raised one; ``kept_ns`` of the time line are in the file."""
        if not self._fate:
            whole = "are kept" if self.seekable else "went out"
            self._fate = f"its first {kept_ns / NS:.1f} s {whole}" if kept_ns else "nothing of it was written"
        elif self._fate == _GONE:
            kept_ns = 0
        self._failure = LostOutput("cannot write", f"{self.path}: {reason(error)}", self._fate, kept_ns=kept_ns)
        return self._failure

    def _check_untouched(self, file: IO[bytes]) -> None:
        if not self.seekable:
            return
        mine = os.fstat(file.fileno())
        if not mine.st_nlink:
            self._fate = _GONE
            raise FileNotFoundError(errno.ENOENT, "it was removed or replaced while it was written")
        if mine.st_size != self.size:
            self._fate = _GONE
            raise OSError(errno.EBUSY, "another program wrote into it")

    def _take_back(self, file: IO[bytes]) -> None:
        if self.seekable:
            with suppress(OSError):
                file.truncate(self.size)


_GONE = "nothing of it is left"


def _is_at(path: Path, mine: os.stat_result) -> bool:
    try:
        return os.path.samestat(path.stat(), mine)
    except OSError:
        return False


def _open_pipe(path: Path) -> IO[bytes]:
    """Opened before it has a reader a pipe would block for as long as there is none, and everything else with it."""
    until_s = time.monotonic() + READER_PATIENCE_S
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise _cannot_write(path, error) from error
            if time.monotonic() > until_s:
                raise MediaError("nobody reads", str(path), "start the program that reads it first") from None
            time.sleep(POLL_S)
        else:
            os.set_blocking(descriptor, True)
            return os.fdopen(descriptor, "wb", buffering=0)
