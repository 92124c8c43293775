"""The one module that knows c2pa, the library of the Content Authenticity Initiative. Loaded where it is used.

It asks no other machine for anything but a time stamp, where one is wanted: it fetches no manifest and no revocation.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import IO, Any

import c2pa

from realtime_dub.errors import MediaError, RealtimeDubError, one_line
from realtime_dub.trust.signers import Signs
from realtime_dub.trust.statement import SOURCE

ALONE = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}}
NO_THUMBNAIL = {"builder": {"thumbnail": {"enabled": False}}}
MOST_SAID = 200  # characters of what the library says


@dataclass(frozen=True, slots=True)
class Source:
    """A film that was dubbed, which has credentials itself. ``file`` is at its beginning."""

    kind: str
    file: IO[bytes]


def sign(
    manifest: dict[str, Any],
    signs: Signs,
    kind: str,
    read: Any,
    written: Any | None,
    source: Source | None = None,
) -> bytes:
    """Write ``read``, a file of the media type ``kind``, with credentials into ``written``; the credentials.

    Without ``written`` they are for a file beside. Raises MediaError; or what reading, writing or signing raised.
    """
    failed: list[BaseException] = []
    try:
        with (
            _context(NO_THUMBNAIL) as context,
            c2pa.Builder(json.dumps(manifest), context) as builder,
            _signer(signs, failed) as signer,
        ):
            if written is None:
                builder.set_no_embed()
            if source is not None:
                _add(builder, source)
            made: bytes = builder.sign(signer, kind, read, _Nowhere() if written is None else written)
            return made
    except c2pa.C2paError as error:
        if failed:
            raise failed[0] from None
        raise _explained("cannot sign", error) from error


class _Nowhere:
    """Takes the file that the library gives back where its credentials are for a file beside: it is the same."""

    def __init__(self) -> None:
        self._at = self._size = 0

    def read(self, count: int = -1) -> bytes:
        return b""

    def write(self, data: bytes) -> int:
        self._at += len(data)
        self._size = max(self._size, self._at)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        """There is nothing to flush."""


def _add(builder: Any, source: Source) -> None:
    told = {"title": "the film that was dubbed", "relationship": "parentOf", "label": SOURCE}
    builder.add_ingredient(json.dumps(told), source.kind, source.file)


def _signer(signs: Signs, failed: list[BaseException]) -> Any:
    def sign(data: bytes) -> bytes:
        try:
            return signs.sign(data)
        except Exception as error:  # the library would only say that there is no signature
            failed.append(error)
            return b""

    algorithm = getattr(c2pa.C2paSigningAlg, signs.algorithm)
    return c2pa.Signer.from_callback(sign, algorithm, signs.chain, signs.tsa)


def read(kind: str, file: Any, beside: bytes | None = None, anchors: str = "") -> dict[str, Any] | None:
    """What the library finds in ``file``, a media type ``kind``; None where there are no credentials at all.

    ``beside``: credentials that lie in a file of their own; ``anchors``: whom to trust, in PEM. Raises MediaError for
    what cannot be made out.
    """
    try:
        with (
            _context({"trust": {"trust_anchors": anchors}} if anchors else {}) as context,
            c2pa.Reader(kind, file, beside, context=context) as reader,
        ):
            found: dict[str, Any] = json.loads(reader.json())
            return found
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        raise _explained("cannot read the credentials:", error) from error


def _context(more: dict[str, Any]) -> Any:
    return c2pa.Context.from_dict({"version": 1, **ALONE, **more})


def _explained(what: str, error: Exception) -> RealtimeDubError:
    return MediaError(what, one_line(str(error))[:MOST_SAID])
