"""The errors a user can meet.

    RealtimeDubError            exit code 1
    ├── LostOutput              an output that ended before its time: a full disk, a file that was removed
    └── UserError               exit code 2: the caller can mend it
        ├── ConfigError         an option or a configuration value
        ├── DependencyError     a library or system package is missing
        ├── DeviceError         a camera, microphone, speaker or virtual camera
        ├── MediaError          a file or stream that cannot be read or written
        ├── BudgetError         the latency budget cannot hold
        └── BundleError         a mouth bundle, bank or engine name

Every message is one line and says what happened, to what, and what to do:

>>> raise MediaError("cannot read", "talk.mp4: it is empty", "choose a video that plays")
Traceback (most recent call last):
realtime_dub.errors.MediaError: cannot read talk.mp4: it is empty; choose a video that plays

The end of a stream is :class:`EndOfStream`, which is no error.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """``text`` as it may be shown: on one line, nothing in it that commands a terminal, every character encodable."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(text.split()))


class RealtimeDubError(Exception):
    """Root of the tree. ``what`` happened, ``to`` which thing, what to ``do``; joined into one line."""

    exit_code = 1

    def __init__(self, what: str, to: str = "", do: str = "") -> None:
        line = " ".join(part for part in (what, to) if part)
        if do:
            line = f"{line}; {do}"
        super().__init__(one_line(line))


class LostOutput(RealtimeDubError):
    """An output that ended before its time. ``kept_ns`` of it, from the start, are safe."""

    def __init__(self, what: str, to: str = "", do: str = "", *, kept_ns: int = 0) -> None:
        super().__init__(what, to, do)
        self.kept_ns = kept_ns


class UserError(RealtimeDubError):
    """Something the caller can mend."""

    exit_code = 2


class ConfigError(UserError):
    """An option or a configuration value that cannot be used."""


class DependencyError(UserError):
    """A library or a system package that is missing."""


class DeviceError(UserError):
    """A camera, microphone, speaker or virtual camera that cannot be used."""


class MediaError(UserError):
    """A file or network stream that cannot be read or written."""


class BudgetError(UserError):
    """A latency budget that the pipeline cannot keep."""


class BundleError(UserError):
    """A mouth bundle, a bank or an engine name that cannot be used."""


class EndOfStream(Exception):
    """A source has nothing more to give. Not an error."""
