"""``realtime-dub sign``: credentials for dubs that have none. Nobody knows any more which pictures were changed, so all
of them are said to be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import av

from realtime_dub.errors import MediaError
from realtime_dub.media import NS
from realtime_dub.trust.inspection import inspect
from realtime_dub.trust.kinds import kind_of_file
from realtime_dub.trust.options import SigningOptions
from realtime_dub.trust.signing import checked_signer, sign_file
from realtime_dub.trust.statement import Made, Statement
from realtime_dub.trust.tag import Tag


def sign_later(files: Sequence[Path], options: SigningOptions) -> Iterator[tuple[Path, Path]]:
    """Each file and where its credentials are, as they come. Raises UserError for one that has some, or cannot."""
    found = [(path, _statement(path)) for path in files]  # a wrong one is told before the first is signed
    signs = checked_signer(options)
    for path, statement in found:
        yield path, sign_file(path, statement, signs)


def _statement(path: Path) -> Statement:
    found = inspect(path, marks=False)
    if found.says is not None or found.state == "broken":
        raise MediaError(
            "cannot sign", f"{path}: it has content credentials ({found.state})", "see realtime-dub inspect"
        )
    tag = found.tag or Tag()
    return Statement(_made(path), "", tag.bundle, tag.sha256, version=tag.version, duration_ns=_duration_ns(path))


def _made(path: Path) -> Made:
    kind = kind_of_file(path).partition("/")[0]
    return "picture" if kind == "image" else "voice" if kind == "audio" else "film"


def _duration_ns(path: Path) -> int:
    """Of its pictures, counted: a film that was interrupted does not know. 0 where it has none that move."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video or _made(path) != "film":
                return 0
            stream = container.streams.video[0]
            ends = [(packet.pts or 0) + (packet.duration or 0) for packet in container.demux(stream) if packet.size]
            begin = (stream.start_time or 0) * (stream.time_base or 0)
            return max(0, round((max(ends) * (stream.time_base or 0) - begin) * NS))
    except (av.FFmpegError, ValueError, LookupError) as error:
        raise MediaError("cannot sign", f"{path}: it does not play", "choose a film, a picture or a WAV") from error
