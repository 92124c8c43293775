"""Reads a bundle: a folder with ``spec.json`` and the network it describes. Nothing in it is ever unpickled.

The spec says what sound the network hears, what state it carries from call to call and what it gives; colour order,
layout and normalisation of the rest live inside the network.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
import threading
from pathlib import Path

from pydantic import ValidationError

import realtime_dub
from realtime_dub.errors import BundleError
from realtime_dub.inference import AUTO
from realtime_dub.inference.contract import Opening, Session
from realtime_dub.inference.made_here import was_made_here
from realtime_dub.inference.session import open_session, settings_for
from realtime_dub.inference.spec import FORMATS, BundleSpec, HearingSpec, MotionSpec, parse
from realtime_dub.inference.tensors import check_declared, declared_by
from realtime_dub.paths import read_plain, reason
from realtime_dub.validation import first_problem

SPEC = "spec.json"
MOST_SPEC, MOST_FILE = 1_000_000, 512_000_000  # bytes: networks that paint faces are large
MOST_SHARED = 2  # of folders that were given: the ones that were asked for last
_sharing = threading.Lock()
_shared_folders: dict[tuple[Path, str], Bundle] = {}  # by folder and spec, the one asked for last at the end


class Bundle:
    """A verified bundle. Its session is opened once and shared by every stream; state belongs to the streams.

    ``known``: its network came with the program, or was built by it. Any other one runs where it can do no harm
    (``inference/sandbox/``).
    """

    def __init__(self, folder: Path, spec: BundleSpec, known: bool, model: bytes) -> None:
        self.folder = folder
        self.spec = spec
        self.known = known
        self._model: bytes | None = model  # until it is opened
        self._lock = threading.Lock()
        self._sessions: dict[tuple[str, str], Session] = {}  # by what was asked for

    @property
    def label(self) -> str:
        """Name and version, for the statistics."""
        return f"{self.spec.name} {self.spec.version}"

    @property
    def net(self) -> str:
        """Of bundles of one version, which it is: the head that looks so far ahead."""
        return f"{self.label}, {self.look_ahead_ms} ms" if isinstance(self.spec, HearingSpec) else self.label

    @property
    def sha256(self) -> str:
        """Of the network's file."""
        return self.spec.sha256[self.spec.model]

    @property
    def motion(self) -> MotionSpec:
        """The spec of one whose task that is. Raises BundleError for another one."""
        if not isinstance(self.spec, MotionSpec):
            raise BundleError("not a motion bundle", self.spec.name, "choose one that turns mel into displacement")
        return self.spec

    @property
    def look_ahead_ms(self) -> int:
        """Of the voice that it hears; 0 where it hears none."""
        return self.spec.look_ahead_ms if isinstance(self.spec, HearingSpec) else 0

    def part(self, name: str) -> bytes:
        """What is in another file of the bundle. Raises BundleError where it has changed."""
        return _checked_file(self.folder / name, self.spec.sha256[name])

    def session(self, backend: str = AUTO, device: str = "") -> Session:
        """The network on ``backend``, opened at the first call for it. Raises BundleError where none can run it."""
        asked = backend, device
        with self._lock:
            if asked not in self._sessions:
                session = self._opened(backend, device)
                self._sessions[asked] = self._sessions.setdefault((session.backend, device), session)
            return self._sessions[asked]

    def _opened(self, backend: str, device: str) -> Session:
        """What is opened is what was checked, whatever has become of the file since."""
        model, self._model = self._model, None
        if model is None:
            model = _checked_file(self.folder / self.spec.model, self.spec.sha256[self.spec.model])
        settings = settings_for(self.spec.task)
        opening = Opening(self.net, self.spec, device, known=self.known, settings=settings)
        session = open_session(model, opening, backend)
        check_declared(self.spec.name, declared_by(self.spec), session)
        return session


def load(folder: str | Path, known: bool = False) -> Bundle:
    """The bundle in ``folder``, every file checked against its hash. Raises BundleError."""
    folder = Path(folder)
    spec = read_spec(folder / SPEC)
    files = {name: _checked_file(folder / name, expected) for name, expected in spec.sha256.items()}
    network = spec.sha256[spec.model]
    known = known or network in _known_models() or was_made_here(network)
    return Bundle(folder, spec, known, files[spec.model])


def load_shared(folder: str | Path) -> Bundle:
    """As :func:`load`; whoever asks for the same one again shares its session, which may be large.

    A network from elsewhere runs in a process of its own for each: what one stream does to it no other has to bear.
    """
    folder = Path(folder).resolve()
    asked = folder, read_spec(folder / SPEC).model_dump_json()
    with _sharing:
        found = _shared_folders.pop(asked, None) or load(folder)
        if found.known:
            _shared_folders[asked] = found
            for oldest in list(_shared_folders)[:-MOST_SHARED]:
                del _shared_folders[oldest]
        return found


@functools.cache
def _known_models() -> frozenset[str]:
    """Hashes of the networks that come with the program."""
    specs = (read_spec(path) for path in folder_of("").glob(f"*/bundle*/{SPEC}"))
    return frozenset(spec.sha256[spec.model] for spec in specs)


@functools.cache
def engine_of(folder: Path) -> str:
    """Which engine the bundle in ``folder`` is for; read once. Raises BundleError."""
    return read_spec(folder / SPEC).engine


def load_default(name: str, look_ahead_ms: int | None = None) -> Bundle:
    """The bundle that comes with engine ``name``, one for the whole process, so that its streams share a session.

    ``look_ahead_ms`` asks for another one of the engine, which waits for less or more of the voice: ``bundle-MS``.
    """
    folder = folder_of(name) / "bundle"
    if not folder.is_dir():
        raise BundleError("no bundle for engine", f"{name!r}: {folder} is not there", "reinstall the package")
    usual = _shared(folder)
    if look_ahead_ms is None or look_ahead_ms == usual.look_ahead_ms:
        return usual
    if look_ahead_ms not in (known := look_aheads(name)):
        choices = ", ".join(str(ms) for ms in known)
        raise BundleError("no mouth with a look-ahead of", f"{look_ahead_ms} ms", f"choose one of {choices}")
    return _shared(folder_of(name) / f"bundle-{look_ahead_ms}")


def load_part(name: str, part: str) -> Bundle:
    """Another network that comes with engine ``name``, one for the whole process: ``bundle-PART``."""
    return _shared(folder_of(name) / f"bundle-{part}")


def part_session(name: str, part: str, backend: str = AUTO) -> Session:
    """The network of :func:`load_part` on ``backend`` if that can run it, which may be made for motion nets alone."""
    bundle = load_part(name, part)
    try:
        return bundle.session(backend)
    except BundleError:
        return bundle.session()


def look_aheads(name: str) -> list[int]:
    """The look-aheads in ms that :func:`load_default` has to offer."""
    named = (re.fullmatch(r"bundle-(\d+)", path.name, re.ASCII) for path in folder_of(name).glob("bundle-*"))
    others = [int(found[1]) for found in named if found and (folder_of(name) / found[0] / SPEC).is_file()]
    return sorted({load_default(name).look_ahead_ms, *others})


def longest_look_ahead(name: str) -> int | None:
    """The most that :func:`load_default` has to offer, ms; None for an engine without a bundle of its own."""
    return look_aheads(name)[-1] if (folder_of(name) / "bundle").is_dir() else None


@functools.cache
def _shared(folder: Path) -> Bundle:
    """By folder, not by what was asked for: the usual look-ahead is the same bundle with and without its number."""
    return load(folder, known=True)


def folder_of(name: str) -> Path:
    """Of what comes with engine ``name``. A package of Python has no hyphen in its name."""
    return Path(realtime_dub.__file__).parents[1] / "engines" / name.replace("-", "_")


def read_spec(path: Path) -> BundleSpec:
    """What the ``spec.json`` at ``path`` says. Raises BundleError."""
    try:
        raw = json.loads(read_plain(path, MOST_SPEC))
    except OSError as error:
        raise BundleError("cannot read bundle", f"{path}: {reason(error)}", f"choose a folder with {SPEC}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError("damaged bundle", f"{path}: not JSON", "fetch it again") from error
    found = raw.get("format") if isinstance(raw, dict) else None
    if found not in FORMATS or found is True:
        do = f"this version reads formats {', '.join(map(str, FORMATS))}"
        shown = repr(found)[:40] if isinstance(found, int | float | str) else "of no number"
        raise BundleError("unknown bundle format", f"{shown} in {path}", do)
    try:
        return parse(raw)
    except ValidationError as error:
        problem = first_problem(error)
        where = problem.where or "spec"
        raise BundleError("damaged bundle", f"{path}: {where}: {problem.what}", "fetch it again") from error
    except ValueError as error:
        raise BundleError("damaged bundle", f"{path}: {error}", "fetch it again") from error


def _checked_file(path: Path, expected: str) -> bytes:
    try:
        data = read_plain(path, MOST_FILE)
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        raise BundleError("incomplete bundle", f"{path}: {reason(error)}", "fetch it again") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise BundleError("damaged bundle", f"{path}: its hash is not the one in {SPEC}", "fetch it again")
    return data
