"""What paths mean, whether two of them are one file, and files that are written whole at the end of a run.

A file of the user's must not be lost to a slip: nothing is opened for writing before all that a command reads and
writes has been laid side by side (:func:`refuse_clashes`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from realtime_dub.errors import ConfigError, MediaError

ROOM_BYTES = 1 << 16  # a report has to find this much
WRITE = os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
READ = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
NO_FILES = (
    (stat.S_ISDIR, "it is a folder"),
    (stat.S_ISFIFO, "it is a pipe, and is read more than once: write it to a file first"),
    (stat.S_ISSOCK, "it is a socket"),
    (stat.S_ISCHR, "it is a device"),
    (stat.S_ISBLK, "it is a device"),
)
CASELESS = sys.platform in ("darwin", "win32")


def cache_folder() -> Path:
    """Where the program keeps for this user what can be made again."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if home else Path.home() / ".cache") / "realtime-dub"


def state_folder() -> Path:
    """Where the program keeps for this user what it has to remember."""
    home = os.environ.get("XDG_STATE_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path.home() / ".local" / "state") / "realtime-dub"


def data_folder() -> Path:
    """Where the program keeps for this user what cannot be made again."""
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if os.path.isabs(home) else Path("~/.local/share").expanduser()) / "realtime-dub"


@dataclass(frozen=True, slots=True)
class Use:
    """A path that a command was given, and the option that gave it."""

    path: str | Path
    option: str

    def __str__(self) -> str:
        return f"{self.path} ({self.option})"


def reason(error: Exception) -> str:
    """What the system or a library has to say, in one line without the number and the path around it."""
    number = getattr(error, "errno", None)
    if number == errno.EPIPE:
        return "whoever read it has left"
    # Some errors come without a text, some without a number, some without both.
    text = getattr(error, "strerror", None) or (os.strerror(number) if number else str(error))
    line = " ".join(text.split())
    return line[:1].lower() + line[1:] or type(error).__name__


def is_number(name: str) -> bool:
    """A device's or a face's number, and no name: a few plain digits, which every language's digits are not."""
    return name.isascii() and name.isdecimal() and len(name) <= 4


def is_missing(path: str | Path) -> bool:
    """Nothing is there. False where that cannot be known: who opens it learns why."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # no right, a name that is too long, a zero byte
        return False
    return False


def size_of_plain_file(found: os.stat_result) -> int:
    """In bytes. Raises OSError for what is no plain file or is empty: a pipe or a device may have no end."""
    for is_one, what in NO_FILES:
        if is_one(found.st_mode):
            raise OSError(errno.EINVAL, what)
    if not found.st_size:
        raise OSError(errno.EINVAL, "it is empty")
    return found.st_size


def read_plain(path: Path, most: int) -> bytes:
    """All of a plain file. Raises OSError for another kind, an empty one and one of more than ``most`` bytes.

    What was opened is looked at, not what the name stood for a moment ago; nothing waits for a pipe's writer.
    """
    size_of_plain_file(os.stat(path))
    with open(os.open(path, READ), "rb") as file:
        if (size := size_of_plain_file(os.fstat(file.fileno()))) <= most:
            return file.read(size)
    raise OSError(errno.EFBIG, f"it is larger than {most // 1_000_000} MB")


def check_place(place: Path) -> None:
    """Raises OSError where no file can come to be, whatever the rights are: a folder is there, or none to be in."""
    if place.is_dir():
        raise OSError(errno.EISDIR, "it is a folder")
    if not place.parent.is_dir():
        raise OSError(errno.ENOENT, f"there is no folder {place.parent}")


def refuse_clashes(written: Iterable[Use], read: Iterable[Use]) -> None:
    """Raises ConfigError where a file that is to be written is also read, or is to be written twice.

    Files are the same by device and inode, so that links do not hide it; those that are not there yet by the place
    where they would come to be. A folder that is read stands for the files in it. Devices and pipes are left alone.
    """
    taken: dict[Hashable, Use] = {}
    for use in read:
        taken.update((key, use) for key in _keys_read(use.path))
    inputs = frozenset(taken)
    for use in written:
        if (key := _key(use.path)) is None:
            continue
        if key in inputs:
            raise ConfigError(
                "cannot overwrite an input file:", str(taken[key]), f"choose another name for {use.option}"
            )
        if key in taken:
            both = f"{taken[key]} and {use}"
            raise ConfigError("cannot write two outputs to one file:", both, "choose another name for one of them")
        taken[key] = use


def _keys_read(path: str | Path) -> Iterator[Hashable]:
    if path == "-":
        with contextlib.suppress(OSError, ValueError):
            yield _key_of(os.fstat(0))
        return
    yield _key(path)
    with contextlib.suppress(OSError, ValueError):  # no folder, for one
        for entry in os.scandir(path):
            yield _key(entry.path)


def _key(path: str | Path) -> Hashable:
    """The same for all names of one file; None for what is no file and cannot be lost."""
    try:
        return _key_of(os.stat(path))
    except (OSError, ValueError):
        pass
    try:
        place = Path(os.path.realpath(path))
        parent = os.stat(place.parent)
    except (OSError, ValueError):  # nothing can be written there, so nothing is lost
        return None
    return parent.st_dev, parent.st_ino, place.name.casefold() if CASELESS else place.name


def _key_of(found: os.stat_result) -> Hashable:
    return (found.st_dev, found.st_ino) if stat.S_ISREG(found.st_mode) else None


class WholeFile:
    """A file that is written at the end of a run, all of it or nothing.

    What stood there before stays until then, and for good where the writing fails. A pipe or a device is written to
    as it is.
    """

    def __init__(self, path: str | Path) -> None:
        """Look whether it can be written. Raises MediaError where it cannot: a run is too long to be for nothing."""
        self.path = Path(path)
        self._place = Path(os.path.realpath(path))  # a link stays a link
        self._pipe: int | None = None
        with self._explained():
            self._look()

    def write(self, data: bytes) -> None:
        """Raises MediaError where it cannot be written."""
        with self._explained():
            if not self._is_special() and os.access(self._place.parent, os.W_OK):
                self._replace(data)
                return
            pipe, self._pipe = self._pipe, None
            _write_and_close(os.open(self.path, WRITE | os.O_TRUNC) if pipe is None else pipe, data)

    def _look(self) -> None:
        folder = self._place.parent
        check_place(self._place)
        if self._is_special():
            self._look_at_special()
            return
        if self._place.exists():
            os.close(os.open(self._place, WRITE))
        if not self._place.exists() or os.access(folder, os.W_OK):
            with tempfile.TemporaryFile(dir=folder, buffering=0) as room:
                write_all(room.fileno(), bytes(ROOM_BYTES))

    def _look_at_special(self) -> None:
        descriptor = os.open(self.path, WRITE | getattr(os, "O_NONBLOCK", 0))  # fails where nobody reads from a pipe
        os.set_blocking(descriptor, True)
        if stat.S_ISCHR(os.fstat(descriptor).st_mode):
            # The only way to learn that it is full, as /dev/full is; an empty line at the beginning harms nobody.
            _write_and_close(descriptor, b"" if os.isatty(descriptor) else b"\n")
        else:
            self._pipe = descriptor  # kept open: closed now, it would be at its end for who reads from it

    def _is_special(self) -> bool:
        return self._place.exists() and not self._place.is_file()

    def _replace(self, data: bytes) -> None:
        part = self._place.with_name(f".realtime-dub-{secrets.token_hex(8)}")
        descriptor = os.open(part, WRITE | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            if self._place.exists():
                os.chmod(part, stat.S_IMODE(self._place.stat().st_mode))
            _write_and_close(descriptor, data)
            part.replace(self._place)
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            no_reader = getattr(error, "errno", None) == errno.ENXIO
            why = "nobody reads from it" if no_reader else reason(error)
            full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
            do = "make room, or choose another folder" if full else "choose a folder that you may write to"
            raise MediaError("cannot write", f"{self.path}: {why}", do) from error


def _write_and_close(descriptor: int, data: bytes) -> None:
    try:
        write_all(descriptor, data)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however little is taken at a time. Raises OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
