"""Reads a bundle: a folder with ``spec.json`` and the network it describes. Nothing in it is ever unpickled.

The spec says what sound the network hears, what state it carries from call to call and what it gives; colour order,
layout and normalisation of the rest live inside the network.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import re
import threading
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

import realtime_dub
from realtime_dub.audio.features import LogMelSpec
from realtime_dub.errors import BundleError
from realtime_dub.media import MS, NS
from realtime_dub.mouth.backend import Session, open_session
from realtime_dub.mouth.tensors import Expected, check_declared
from realtime_dub.paths import read_plain, reason
from realtime_dub.validation import first_problem

FORMAT = 1
SPEC = "spec.json"
MOST_SPEC, MOST_FILE = 1_000_000, 64_000_000  # bytes
MOST_VALUES = 2_500_000  # of all states
MOST_RATE = 1_000.0  # outputs per second
MESH = 478  # points of the face

Name = Annotated[str, Field(max_length=200)]
Size = Annotated[int, Field(ge=1, le=65_536)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorSpec(_Strict):
    """A tensor of the network. A dimension of None is as long as the call is."""

    name: Name
    shape: Annotated[tuple[Size | None, ...], Field(max_length=8)]
    dtype: Literal["float32"] = "float32"


class StateSpec(_Strict):
    """A tensor carried from call to call: zeros at first, then what the last call gave as ``after``."""

    before: Name  # the network's input
    after: Name  # the output that becomes it
    shape: Annotated[tuple[Size, ...], Field(max_length=8)]
    dtype: Literal["float32"] = "float32"


class DataSpec(_Strict):
    """A data set the network was trained on."""

    name: Name
    licence: Name
    citation: Annotated[str, Field(max_length=2_000)]
    hours: float = Field(ge=0)


class BundleSpec(_Strict):
    """What ``spec.json`` holds."""

    format: int
    name: Name
    version: Name
    engine: Name  # the generator that runs it
    model: Name  # file of the network
    audio: LogMelSpec
    look_ahead_ms: int = Field(ge=0, le=10_000)  # output n belongs to the frame this much earlier
    frame_rate: float = Field(gt=0, le=MOST_RATE)  # outputs per second
    inputs: tuple[TensorSpec, ...] = Field(max_length=16)
    states: tuple[StateSpec, ...] = Field(max_length=256)
    outputs: tuple[TensorSpec, ...] = Field(max_length=16)
    # Indices in the face mesh of the points that move.
    points: tuple[Annotated[int, Field(ge=0, lt=MESH)], ...] = Field(max_length=MESH)
    licence: Name
    training_data: tuple[DataSpec, ...] = Field(max_length=256)
    sha256: dict[Name, str] = Field(max_length=4)  # of every file beside the spec

    @field_validator("sha256")
    @classmethod
    def _plain_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if Path(name).name != name:
                raise ValueError(f"{name!r} is not a plain file name")
        return value

    @field_validator("states")
    @classmethod
    def _bounded(cls, value: tuple[StateSpec, ...]) -> tuple[StateSpec, ...]:
        if sum(math.prod(state.shape) for state in value) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> BundleSpec:
        if self.model not in self.sha256:
            raise ValueError(f"no hash for {self.model}")
        if abs(self.frame_rate * self.audio.hop_ns - NS) > 1:
            raise ValueError("frame_rate is not one output per hop")
        if self.look_ahead_ns % self.audio.hop_ns:
            raise ValueError("look_ahead_ms is not a whole number of hops")
        return self

    @property
    def look_ahead_ns(self) -> int:
        return self.look_ahead_ms * MS


class Bundle:
    """A verified bundle. Its session is opened once and shared by every stream; state belongs to the streams.

    ``known``: its network came with the program. Any other one runs where it can do no harm (``mouth/sandbox.py``).
    """

    def __init__(self, folder: Path, spec: BundleSpec, known: bool, model: bytes) -> None:
        self.folder = folder
        self.spec = spec
        self.known = known
        self._model: bytes | None = model  # until it is opened
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}  # by what was asked for

    @property
    def label(self) -> str:
        """Name and version, for the statistics."""
        return f"{self.spec.name} {self.spec.version}"

    def session(self, backend: str = "auto") -> Session:
        """The network on ``backend``, opened at the first call for it. Raises BundleError where none can run it."""
        with self._lock:
            if backend not in self._sessions:
                session = self._opened(backend)
                self._sessions[backend] = self._sessions.setdefault(session.backend, session)
            return self._sessions[backend]

    def _opened(self, backend: str) -> Session:
        """What is opened is what was checked, whatever has become of the file since."""
        model, self._model = self._model, None
        if model is None:
            model = _checked_file(self.folder / self.spec.model, self.spec.sha256[self.spec.model])
        session = open_session(model, self.label, backend, self.known)
        check_declared(self.spec.name, declared_by(self.spec), session)
        return session


def declared_by(spec: BundleSpec) -> Expected:
    """What a spec says of its network's tensors."""
    states = spec.states
    inputs = {tensor.name: tensor.shape for tensor in spec.inputs} | {each.before: each.shape for each in states}
    outputs = {tensor.name: tensor.shape for tensor in spec.outputs} | {each.after: each.shape for each in states}
    return Expected(inputs, outputs)


def load(folder: str | Path, known: bool = False) -> Bundle:
    """The bundle in ``folder``, every file checked against its hash. Raises BundleError."""
    folder = Path(folder)
    spec = _read_spec(folder / SPEC)
    files = {name: _checked_file(folder / name, expected) for name, expected in spec.sha256.items()}
    return Bundle(folder, spec, known or spec.sha256[spec.model] in _known_models(), files[spec.model])


@functools.cache
def _known_models() -> frozenset[str]:
    """Hashes of the networks that come with the program."""
    specs = (_read_spec(path) for path in _folder_of("").glob(f"*/bundle*/{SPEC}"))
    return frozenset(spec.sha256[spec.model] for spec in specs)


def load_default(name: str = "mouthbank", look_ahead_ms: int | None = None) -> Bundle:
    """The bundle that comes with engine ``name``, one for the whole process, so that its streams share a session.

    ``look_ahead_ms`` asks for one of its brothers that waits for less or more of the voice: ``bundle-MS``.
    """
    folder = _folder_of(name) / "bundle"
    if not folder.is_dir():
        raise BundleError("no bundle for engine", f"{name!r}: {folder} is not there", "reinstall the package")
    usual = _shared(folder)
    if look_ahead_ms is None or look_ahead_ms == usual.spec.look_ahead_ms:
        return usual
    if look_ahead_ms not in (known := look_aheads(name)):
        choices = ", ".join(str(ms) for ms in known)
        raise BundleError("no mouth with a look-ahead of", f"{look_ahead_ms} ms", f"choose one of {choices}")
    return _shared(_folder_of(name) / f"bundle-{look_ahead_ms}")


def look_aheads(name: str = "mouthbank") -> list[int]:
    """The look-aheads in ms that :func:`load_default` has to offer."""
    named = (re.fullmatch(r"bundle-(\d+)", path.name, re.ASCII) for path in _folder_of(name).glob("bundle-*"))
    others = [int(found[1]) for found in named if found and (_folder_of(name) / found[0] / SPEC).is_file()]
    return sorted({load_default(name).spec.look_ahead_ms, *others})


def longest_look_ahead(name: str = "mouthbank") -> int | None:
    """The most that :func:`load_default` has to offer, ms; None for an engine without a bundle of its own."""
    return look_aheads(name)[-1] if (_folder_of(name) / "bundle").is_dir() else None


@functools.cache
def _shared(folder: Path) -> Bundle:
    """By folder, not by what was asked for: the usual look-ahead is the same bundle with and without its number."""
    return load(folder, known=True)


def _folder_of(name: str) -> Path:
    return Path(realtime_dub.__file__).parents[1] / "engines" / name


def _read_spec(path: Path) -> BundleSpec:
    try:
        raw = json.loads(read_plain(path, MOST_SPEC))
    except OSError as error:
        raise BundleError("cannot read bundle", f"{path}: {reason(error)}", f"choose a folder with {SPEC}") from error
    except (ValueError, RecursionError) as error:
        raise BundleError("damaged bundle", f"{path}: not JSON", "fetch it again") from error
    found = raw.get("format") if isinstance(raw, dict) else None
    if found != FORMAT or found is True:
        do = f"this version reads format {FORMAT}"
        shown = repr(found)[:40] if isinstance(found, int | float | str) else "of no number"
        raise BundleError("unknown bundle format", f"{shown} in {path}", do)
    try:
        return BundleSpec.model_validate(raw)
    except ValidationError as error:
        problem = first_problem(error)
        where = problem.where or "spec"
        raise BundleError("damaged bundle", f"{path}: {where}: {problem.what}", "fetch it again") from error


def _checked_file(path: Path, expected: str) -> bytes:
    try:
        data = read_plain(path, MOST_FILE)
    except (OSError, ValueError) as error:  # the latter for a name that no file can have
        raise BundleError("incomplete bundle", f"{path}: {reason(error)}", "fetch it again") from error
    if hashlib.sha256(data).hexdigest() != expected:
        raise BundleError("damaged bundle", f"{path}: its hash is not the one in {SPEC}", "fetch it again")
    return data
