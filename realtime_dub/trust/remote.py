"""A file at an address, as one that can be looked at: kept for that time alone."""

from __future__ import annotations

import contextlib
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path, PurePosixPath
from typing import IO, Any
from urllib.parse import unquote, urlsplit

from realtime_dub.errors import MediaError
from realtime_dub.paths import reason
from realtime_dub.trust.kinds import OPAQUE, kind_of_file, sidecar_of

SCHEMES = ("http", "https")
MOST = 4_000_000_000  # bytes
PATIENCE_S = 30.0
PIECE = 1 << 20


@contextlib.contextmanager
def local_copy(what: str) -> Iterator[Path]:
    """The file that ``what`` names, fetched where that is an address. Raises MediaError."""
    if what.partition("://")[0].lower() not in SCHEMES:
        yield Path(what)
        return
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
        path = Path(folder) / "file"
        _fetch(what, path)
        if kind_of_file(path) == OPAQUE:
            with contextlib.suppress(MediaError):
                _fetch(_beside(what), sidecar_of(path))
        yield path


def _beside(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(path=sidecar_of(Path(parts.path)).as_posix()).geturl()


def _fetch(url: str, path: Path) -> None:
    host = urlsplit(url).hostname or "?"
    try:
        opener = urllib.request.build_opener(_WebAlone)
        with opener.open(url, timeout=PATIENCE_S) as answer, path.open("wb") as file:
            _copy(answer, file)
    except (OSError, ValueError, HTTPException) as error:
        path.unlink(missing_ok=True)
        why = f"it answered {error.code}" if isinstance(error, urllib.error.HTTPError) else reason(_inner(error))
        name = unquote(PurePosixPath(urlsplit(url).path).name)
        raise MediaError("cannot fetch", f"{name} from {host}: {why}", "check the address") from error


def _copy(answer: Any, file: IO[bytes]) -> None:
    size = 0
    while piece := answer.read(PIECE):
        size += len(piece)
        if size > MOST:
            raise ValueError(f"it is larger than {MOST // 1_000_000_000} GB")
        file.write(piece)


class _WebAlone(urllib.request.HTTPRedirectHandler):
    """No answer leads to a file of this machine."""

    def redirect_request(self, request: Any, file: Any, code: int, message: str, headers: Any, url: str) -> Any:
        if urlsplit(url).scheme not in SCHEMES:
            raise ValueError("it leads to another kind of address")
        return super().redirect_request(request, file, code, message, headers, url)


def _inner(error: Exception) -> Exception:
    inner = getattr(error, "reason", None)
    return inner if isinstance(inner, Exception) else error
