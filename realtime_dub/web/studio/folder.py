"""Where a server keeps what visitors send and record: a private folder of its own, which a later server can find.

``BASE/PORT-NAME/`` has ``lock``, held as long as the server lives, ``uploads``, ``recordings``, ``avatars``,
``leases``, what the next session of a visitor takes over, and ``sockets``, by which its processes are reached. A
folder whose lock nobody holds is that of a server which has ended or was killed: one that starts on the same port takes
its recordings and avatars over; recordings of a day and avatars of a month are removed by any.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from realtime_dub.errors import ConfigError
from realtime_dub.paths import reason
from realtime_dub.web.limits import AVATAR_KEPT_S, RECORDING_FOUND_S

if sys.platform != "win32":
    import fcntl

LOCK, UPLOADS, RECORDINGS, AVATARS = "lock", "uploads", "recordings", "avatars"
LEASES, SOCKETS = "leases", "sockets"
ENDS_WITH_IT = (UPLOADS, LEASES, SOCKETS)  # nobody else has a use for them
NEW = "new-"  # a folder of this name is being made
MADE_S = 60.0  # and no more, if it is as old as this
SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class ServerFolder:
    """Blocking. Made once per server; :meth:`close` leaves recordings and avatars where there are any."""

    def __init__(self, port: int, base: Path | None = None) -> None:
        """Raises ConfigError where no folder can be made anywhere."""
        self._lock: int | None = None
        self.path = self._make(port, [base] if base is not None else bases())
        self.uploads, self.recordings, self.avatars = (self.path / each for each in (UPLOADS, RECORDINGS, AVATARS))
        self.leases, self.sockets = self.path / LEASES, self.path / SOCKETS
        self.revoked = self.path.parent / f"revoked-{port}.json"  # outlives the folder: links do
        for name in (*ENDS_WITH_IT, RECORDINGS, AVATARS):
            (self.path / name).mkdir(mode=0o700)
        with contextlib.suppress(OSError):  # what others left is no reason not to start
            self._take_over(f"{port}-")

    def close(self) -> None:
        """Idempotent."""
        lock, self._lock = self._lock, None
        for name in ENDS_WITH_IT:
            shutil.rmtree(self.path / name, ignore_errors=True)
        if not _has_anything(self.path):
            shutil.rmtree(self.path, ignore_errors=True)
        if lock is not None:
            os.close(lock)

    def _make(self, port: int, places: list[Path]) -> Path:
        for place in places:
            with contextlib.suppress(OSError):
                _make_private(place)
                return self._make_in(place, port)
        try:
            return Path(tempfile.mkdtemp(prefix="realtime-dub-"))  # nobody will find it again
        except OSError as error:
            what = f"for what visitors send: {reason(error)}"
            raise ConfigError("cannot make a folder", what, "set TMPDIR to one that can be written") from error

    def _make_in(self, place: Path, port: int) -> Path:
        """Locked before it has its name: nobody else ever sees it without its server."""
        name = secrets.token_hex(8)
        new = place / f"{NEW}{name}"
        new.mkdir(mode=0o700)
        try:
            self._lock = _locked(new / LOCK, os.O_CREAT | os.O_EXCL)
            return new.rename(place / f"{port}-{name}")
        except OSError:
            shutil.rmtree(new, ignore_errors=True)
            raise

    def _take_over(self, mine: str) -> None:
        for folder in _private_folders(self.path.parent):
            if folder == self.path:
                continue
            if folder.name.startswith(NEW):
                if time.time() - folder.stat().st_mtime > MADE_S:
                    shutil.rmtree(folder, ignore_errors=True)
                continue
            with contextlib.suppress(OSError):
                lock = _locked(folder / LOCK)
                try:
                    self._inherit(folder, takes=folder.name.startswith(mine))
                finally:
                    os.close(lock)

    def _inherit(self, folder: Path, takes: bool) -> None:
        """From a server that is no more."""
        for name in ENDS_WITH_IT:
            shutil.rmtree(folder / name, ignore_errors=True)
        for film in plain_files(folder / RECORDINGS):
            if time.time() - film.stat().st_mtime > RECORDING_FOUND_S:
                film.unlink()
            elif takes:
                film.rename(self.recordings / film.name)
        for avatar in _plain_folders(folder / AVATARS):
            if time.time() - avatar.stat().st_mtime > AVATAR_KEPT_S:
                shutil.rmtree(avatar, ignore_errors=True)
            elif takes:
                avatar.rename(self.avatars / avatar.name)
        if not _has_anything(folder):
            shutil.rmtree(folder, ignore_errors=True)


def bases() -> list[Path]:
    """Where to look for a place, the best first."""
    state = os.environ.get("XDG_STATE_HOME", "")
    home = Path(state) if os.path.isabs(state) else Path("~/.local/state").expanduser()
    me = os.getuid() if hasattr(os, "getuid") else "me"
    return [home / "realtime-dub" / "studio", Path(tempfile.gettempdir()) / f"realtime-dub-{me}"]


def plain_files(folder: Path) -> list[Path]:
    """Those in it that are no links, devices or folders."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_file(follow_symlinks=False)]
    return []


def _make_private(place: Path) -> None:
    """Raises OSError where it is not ours alone."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = place.lstat()
    if not _is_mine(found):
        raise PermissionError(f"{place} belongs to somebody else")
    if found.st_mode & 0o077:
        place.chmod(0o700)


def _is_mine(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and (not hasattr(os, "getuid") or found.st_uid == os.getuid())


def _private_folders(place: Path) -> Iterator[Path]:
    with os.scandir(place) as entries:
        for entry in list(entries):
            with contextlib.suppress(OSError):
                if _is_mine(entry.stat(follow_symlinks=False)):
                    yield Path(entry.path)


def _plain_folders(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
    return []


def _has_anything(folder: Path) -> bool:
    """That is kept for those who made it."""
    return bool(plain_files(folder / RECORDINGS) or _plain_folders(folder / AVATARS))


def _locked(path: Path, how: int = 0) -> int:
    """Raises OSError where another process holds it, or where locks are not to be had."""
    if sys.platform == "win32":
        raise OSError("no locks")
    descriptor = os.open(path, os.O_RDWR | how | SAFE, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
