"""Engines that were built of networks, kept on disk: whole or not at all, and only where they were built for.

An entry is a folder: the engine's files and ``manifest.json``, which says what they were built of, for which GPU,
driver and libraries, and has the hash of each. It is built under another name, synced, and renamed as the last step;
so an entry that is there is complete, whenever the builder was killed. What does not fit is never loaded: the reason
is told, and it is built again.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from realtime_dub.inference import gpu, libraries
from realtime_dub.inference.contract import Precision, Progress
from realtime_dub.paths import cache_folder

MANIFEST = "manifest.json"
FORMAT = 1
_PART, _OLD, _LOCK = ".part-", ".old-", ".lock-"
POLL_S = 0.1


class _Kept(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wanted(_Kept):
    """What an engine is built of. It names its entry."""

    network: str  # its file's sha256
    label: str  # the net of its bundle, for people
    backend: str
    precision: Precision = "fp32"
    shapes: str = ""  # what it is built for, such as "mel:1x1x80..1x16x80"

    @property
    def folder(self) -> str:
        shapes = hashlib.sha256(self.shapes.encode()).hexdigest()[:8]
        return f"{self.network[:16]}-{self.backend}-{self.precision}-{shapes}"


class Surroundings(_Kept):
    """Where an engine can run. Nothing of a GPU is said of one that runs on any."""

    gpu: str = ""
    capability: str = ""
    driver: str = ""
    libraries: dict[str, str] = {}

    def unlike(self, here: Surroundings) -> list[str]:
        """What differs ``here``, in words."""
        pairs = [(name, getattr(self, name), getattr(here, name)) for name in ("gpu", "capability", "driver")]
        names = sorted({*self.libraries, *here.libraries})
        pairs += [(name, self.libraries.get(name, ""), here.libraries.get(name, "")) for name in names]
        return [f"{name} {was or 'none'}, here {now or 'none'}" for name, was, now in pairs if was != now]


class Manifest(_Kept):
    """What an entry says of itself."""

    format: int
    wanted: Wanted
    surroundings: Surroundings
    files: dict[str, str]  # sha256 by name
    size: int  # bytes of all files
    took_s: float
    made: str  # when, ISO 8601


class Found(NamedTuple):
    """An entry, or why there is none that may be used."""

    folder: Path | None
    why: str = ""


class Entry(NamedTuple):
    """One line of the list."""

    manifest: Manifest
    why_not: str  # "" where it can be used here


def default_root() -> Path:
    return cache_folder() / "engines"


def surroundings(backend: str, device: str = "", any_gpu: bool = False) -> Surroundings:
    """Of ``backend`` on this machine; without the GPU for engines that run on ``any_gpu``."""
    versions = libraries.versions(backend)
    card = None if any_gpu else gpu.found(int(device or 0))
    if card is None:
        return Surroundings(libraries=versions)
    return Surroundings(gpu=card.name, capability=card.capability, driver=card.driver, libraries=versions)


class EngineCache:
    """All entries below ``root``. Several processes may use one at once."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def find(self, wanted: Wanted, here: Surroundings) -> Found:
        """The entry, with every file checked against its hash, or the reason why there is none."""
        folder = self.root / wanted.folder
        if not folder.is_dir():
            return Found(None, "it was not built yet")
        manifest = _read(folder)
        if manifest is None:
            return Found(None, "it is damaged: its manifest cannot be read")
        why = _why_not(folder, manifest, wanted, here)
        return Found(None, why) if why else Found(folder)

    def get(
        self,
        wanted: Wanted,
        here: Surroundings,
        make: Callable[[Path], None],
        progress: Progress | None = None,
    ) -> Path:
        """The entry's folder; where there is none that fits, ``make`` writes its files into a folder first.

        One process builds at a time; the others wait for it. Raises what ``make`` raises; nothing is left then.
        """
        with self._locked(wanted, progress):
            found = self.find(wanted, here)
            if found.folder is not None:
                return found.folder
            _tell(progress, f"building for {wanted.backend}: {found.why}", 0.0)
            folder = self._built(wanted, here, make)
            _tell(progress, f"built for {wanted.backend}", 1.0)
            return folder

    def entries(self, here: Callable[[str, Surroundings], Surroundings] | None = None) -> list[Entry]:
        """All that is kept, and which of it can be used here. ``here``: a backend's surroundings, as an entry has."""
        asked = here or _here_as
        folders = sorted(path for path in self.root.glob("*") if path.is_dir() and not path.name.startswith("."))
        manifests = [(folder, manifest) for folder in folders if (manifest := _read(folder)) is not None]
        return [
            Entry(each, _why_not(folder, each, each.wanted, asked(each.wanted.backend, each.surroundings)))
            for folder, each in manifests
        ]

    def _built(self, wanted: Wanted, here: Surroundings, make: Callable[[Path], None]) -> Path:
        part, began = self.root / f"{_PART}{wanted.folder}", time.monotonic()
        shutil.rmtree(part, ignore_errors=True)  # of one that was killed
        part.mkdir(parents=True)
        try:
            make(part)
            _write_manifest(part, wanted, here, time.monotonic() - began)
            return self._put(part, self.root / wanted.folder)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise

    def _put(self, part: Path, folder: Path) -> Path:
        """Into its place, as one step; what was there before goes first."""
        old = self.root / f"{_OLD}{folder.name}"
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        part.rename(folder)
        _sync(self.root)
        shutil.rmtree(old, ignore_errors=True)
        return folder

    @contextlib.contextmanager
    def _locked(self, wanted: Wanted, progress: Progress | None) -> Iterator[None]:
        """The system gives the lock back when its holder dies."""
        self.root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.root / f"{_LOCK}{wanted.folder}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(descriptor):
                _tell(progress, f"another process builds it for {wanted.backend}", 0.0)
                time.sleep(POLL_S)
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _here_as(backend: str, was: Surroundings) -> Surroundings:
    return surroundings(backend, any_gpu=not was.gpu)


def _read(folder: Path) -> Manifest | None:
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        return None


def _why_not(folder: Path, manifest: Manifest, wanted: Wanted, here: Surroundings) -> str:
    """Why an entry is not to be loaded; "" where it may be."""
    if manifest.format != FORMAT or manifest.wanted.model_copy(update={"label": wanted.label}) != wanted:
        return "it was built of something else"
    if unlike := manifest.surroundings.unlike(here):
        return f"it was built elsewhere: {'; '.join(unlike)}"
    if damaged := next((name for name, digest in manifest.files.items() if _digest(folder / name) != digest), ""):
        return f"it is damaged: {damaged} is not as it was written"
    return ""


def _write_manifest(part: Path, wanted: Wanted, here: Surroundings, took_s: float) -> None:
    """Everything reaches the disk before the manifest names it."""
    paths = sorted(path for path in part.rglob("*") if path.is_file())
    for path in paths:
        _sync(path)
    files: Mapping[str, str] = {str(path.relative_to(part)): _digest(path) for path in paths}
    manifest = Manifest(
        format=FORMAT,
        wanted=wanted,
        surroundings=here,
        files=dict(files),
        size=sum(path.stat().st_size for path in paths),
        took_s=round(took_s, 2),
        made=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    (part / MANIFEST).write_text(json.dumps(manifest.model_dump(), indent=1) + "\n", "utf-8")
    _sync(part / MANIFEST)
    _sync(part)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _tell(progress: Progress | None, what: str, share: float) -> None:
    if progress is not None:
        progress(what, share)
