"""The credentials of a run's files: what is said of them, and when they are signed. What signs is loaded only then."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from realtime_dub.errors import RealtimeDubError
from realtime_dub.imports import resolve
from realtime_dub.mouth.contract import HasBundle, MouthGenerator
from realtime_dub.publishers.base import MakesFilms, Publisher
from realtime_dub.trust.intervals import Film
from realtime_dub.trust.kinds import sidecar_of
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.statement import Statement
from realtime_dub.trust.tag import Tag
from realtime_dub.voice.registry import TRAINED

if TYPE_CHECKING:
    from realtime_dub.trust.signers import Signs

SIGNING = "realtime_dub.trust.signing"
LATER = "realtime-dub sign adds them"


class Signed(Protocol):
    """Where it is said how a run's files are signed."""

    @property
    def signing(self) -> SigningOptions | None:
        """None = they are not."""


@dataclass(frozen=True, slots=True)
class MadeBy:
    """What makes a run's mouths."""

    engine: str = ""
    bundle: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, generator: MouthGenerator) -> MadeBy:
        """A bundle may be named after somebody's recording: that is left out."""
        sha256 = generator.bundle_sha256 if isinstance(generator, HasBundle) else ""
        return cls(generator.name, generator.bundle.partition(" of ")[0] if sha256 else "", sha256)

    def __add__(self, other: MadeBy) -> MadeBy:
        """Both, one after the other: of two networks there is no one hash."""
        if other in (self, MadeBy()):
            return self
        engines, bundles = ((self.engine, other.engine), (self.bundle, other.bundle))
        return MadeBy(*(", ".join(dict.fromkeys(filter(None, each))) for each in (engines, bundles)))

    @property
    def tag(self) -> Tag:
        return Tag(bundle=self.bundle, sha256=self.sha256)


@dataclass
class Credentials:
    """``notices``: further choices of whoever runs it that belong into the manifest.

    ``source``: the film that is dubbed, whose own credentials go into the result's.
    """

    options: SigningOptions | None
    voice: str = ""  # whose: "own", "another's" or "synthetic"
    source: Path | None = None
    notices: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raises ConfigError where a signer that was asked for cannot sign."""
        self.made_by = MadeBy()
        self._signs: Signs | None = None
        if self.chosen:
            self._signer()

    @property
    def chosen(self) -> bool:
        """Somebody asked for a signer of their own."""
        return self.options is not None and self.options.chosen

    def begin(self, generator: MouthGenerator, publishers: Iterable[Publisher]) -> None:
        """Before they are opened: their files say from the first byte on whose dubs they are."""
        self.made_by = MadeBy.of(generator)
        for publisher in publishers:
            if self.options is not None and isinstance(publisher, MakesFilms):
                publisher.say(self.made_by.tag)

    def load(self) -> Callable[[], None]:
        """What signs, on a thread: it takes 0.1 s, which the end of a run need not wait for. What it gives waits."""
        if self.options is None:
            return lambda: None
        thread = threading.Thread(target=_load, name="credentials", daemon=True)
        thread.start()
        return thread.join

    def sign(self, publishers: Iterable[Publisher], fail: Callable[[str], object]) -> None:
        """The films that are whole, one after the other. ``fail`` is told which have no credentials, and why."""
        films = [each.film for each in publishers if isinstance(each, MakesFilms)]
        for film in films:
            if film is not None:
                self.sign_film(film, fail)

    def sign_film(self, film: Film, fail: Callable[[str], object]) -> None:
        if self.options is None:
            sidecar_of(film.path).unlink(missing_ok=True)  # of another film, which was here before
            return
        statement = replace(self._statement(), dubbed=film.dubbed, duration_ns=film.duration_ns)
        try:
            resolve(f"{SIGNING}:sign_file")(film.path, statement, self._signer(), self.source)
        except (RealtimeDubError, ImportError) as error:
            fail(_unsigned(str(film.path), error))

    def sealed(self, data: bytes, fail: Callable[[str], object]) -> bytes:
        """A picture with its credentials; as it was, where that cannot be."""
        return self._sealed(data, replace(self._statement(), made="picture"), fail)

    def sealed_voice(self, data: bytes, engine: str, fail: Callable[[str], object]) -> bytes:
        """A sound that was made of a script."""
        trained = engine.partition(":")[0] in TRAINED
        return self._sealed(data, Statement("voice", engine, trained=trained, notices=self.notices), fail)

    def _sealed(self, data: bytes, statement: Statement, fail: Callable[[str], object]) -> bytes:
        if self.options is None:
            return data
        try:
            signed: bytes = resolve(f"{SIGNING}:sign_bytes")(data, statement, self._signer())
        except (RealtimeDubError, ImportError) as error:
            fail(_unsigned("a picture" if statement.made == "picture" else "the voice", error))
            return data
        return signed

    def _statement(self) -> Statement:
        by = self.made_by
        return Statement("film", by.engine, by.bundle, by.sha256, self.voice, notices=self.notices)

    def _signer(self) -> Signs:
        """Kept: a service or a key in a file is asked for once."""
        if self._signs is None:
            made: Signs = resolve(f"{SIGNING}:checked_signer")(self.options)
            self._signs = made
        return self._signs


def _load() -> None:
    with suppress(ImportError):  # is told where something is signed
        import_module(SIGNING)


def _unsigned(what: str, error: Exception) -> str:
    return f"{what} has no content credentials: {error}; {LATER}"
