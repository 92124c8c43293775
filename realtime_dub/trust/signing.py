"""Files are signed when they are whole: into a file beside, which then takes their place. If anything fails, or
somebody asks to stop, the file stays as it was.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from pathlib import Path
from typing import IO, Any

from realtime_dub.errors import ConfigError, MediaError, UserError
from realtime_dub.flow import Worker
from realtime_dub.paths import reason
from realtime_dub.trust import content_credentials
from realtime_dub.trust.content_credentials import Source
from realtime_dub.trust.kinds import OPAQUE, kind_of, kind_of_file, sidecar_of
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.signers import Signs, signer
from realtime_dub.trust.statement import Statement

LOOK_S = 0.1  # between two looks whether somebody asks to stop
# The smallest picture there is: one pixel, in PNG.
_PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c636000000002000148afa471"
    "0000000049454e44ae426082"
)


def sign_file(path: Path, statement: Statement, signs: Signs, source: Path | None = None) -> Path:
    """Sign ``path``; where the credentials lie: in it, or beside it. ``source``: the film that was dubbed.

    Raises MediaError; KeyboardInterrupt and the like leave the file as it was, too.
    """
    stop = threading.Event()
    worker = Worker("signing")
    job: Future[Path] = worker.submit(lambda: _sign(path, statement, signs, source, stop))
    try:
        while not job.done():  # the library waits for nobody, and Python hears Ctrl-C between two looks
            wait_for([job], timeout=LOOK_S)
        return job.result()
    finally:
        stop.set()
        worker.close()


def sign_bytes(data: bytes, statement: Statement, signs: Signs) -> bytes:
    """A picture or a sound with its credentials. Raises MediaError."""
    written = io.BytesIO()
    content_credentials.sign(statement.manifest(), signs, kind_of(data[:16]), io.BytesIO(data), written)
    return written.getvalue()


def checked_signer(options: SigningOptions) -> Signs:
    """As :func:`signer`; one that somebody chose signs a pixel first: a run is too long to be for nothing.

    Raises ConfigError, MediaError.
    """
    signs = signer(options)
    if options.chosen:
        try:
            sign_bytes(_PIXEL, Statement("picture"), signs)
        except UserError as error:
            do = "choose another certificate, signer or time stamp authority"
            raise ConfigError("cannot sign:", str(error).partition("; ")[0], do) from error
    return signs


def _sign(path: Path, statement: Statement, signs: Signs, source: Path | None, stop: threading.Event) -> Path:
    try:
        kind = kind_of_file(path)
        place = Path(os.path.realpath(path))
        target = sidecar_of(place) if kind == OPAQUE else place
        with _parent(source) as parent, path.open("rb") as file:
            manifest, mode = statement.manifest(parent is not None), stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            _write(
                target, mode, stop, lambda out: _into(out, manifest, signs, kind, _Watched(file, stop), stop, parent)
            )
        return sidecar_of(path) if kind == OPAQUE else path
    except OSError as error:
        raise MediaError("cannot sign", f"{path}: {reason(error)}", "the file stays as it was") from error


def _into(
    out: IO[bytes],
    manifest: dict[str, Any],
    signs: Signs,
    kind: str,
    file: _Watched,
    stop: threading.Event,
    parent: Source | None,
) -> None:
    written = _Watched(out, stop)
    try:
        if kind == OPAQUE:
            out.write(content_credentials.sign(manifest, signs, kind, file, None, parent))
        else:
            content_credentials.sign(manifest, signs, kind, file, written, parent)
    except MediaError:
        if (failed := file.failed or written.failed) is not None:
            raise failed from None
        raise


def _write(target: Path, mode: int, stop: threading.Event, write: Callable[[IO[bytes]], None]) -> None:
    """``target`` as ``write`` makes it, whole, with the rights ``mode``; or as it was."""
    part = target.with_name(f".realtime-dub-{secrets.token_hex(8)}")
    try:
        with open(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b") as out:
            write(out)
            out.flush()
            os.fsync(out.fileno())
        os.chmod(part, mode)
        if not stop.is_set():
            part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _parent(source: Path | None) -> Iterator[Source | None]:
    """The film that was dubbed, where it has credentials itself. One that cannot be made out counts as without."""
    if source is None:
        yield None
        return
    with contextlib.ExitStack() as stack:
        found = None
        with contextlib.suppress(OSError, MediaError):
            kind = kind_of_file(source)
            file = stack.enter_context(source.open("rb"))
            if kind != OPAQUE and content_credentials.read(kind, file) is not None:
                file.seek(0)
                found = Source(kind, file)
        yield found


class _Watched:
    """A file as the library reads and writes it. It keeps what went wrong, of which the library tells nothing, and ends
    where somebody asked to stop.
    """

    def __init__(self, file: IO[bytes], stop: threading.Event) -> None:
        self.failed: OSError | None = None
        self._file, self._stop = file, stop

    def readinto(self, buffer: Any) -> int:
        return int(self._do(lambda: self._file.readinto(buffer)))  # type: ignore[attr-defined]

    def read(self, count: int = -1) -> bytes:
        return bytes(self._do(lambda: self._file.read(count)))

    def write(self, data: bytes) -> int:
        return int(self._do(lambda: self._file.write(data)))

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._do(lambda: self._file.seek(offset, whence)))

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        self._do(self._file.flush)

    def _do(self, call: Callable[[], Any]) -> Any:
        try:
            if self._stop.is_set():
                raise InterruptedError("somebody asked to stop")
            return call()
        except OSError as error:
            self.failed = error
            raise
