"""What microphone and speaker need of a sound system: its devices, and streams on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from realtime_dub.media import Samples

Kind: TypeAlias = Literal["input", "output"]
# (samples (n, channels), valid only during the call; age of the first in ns; samples were lost before these)
OnInput: TypeAlias = Callable[[Samples, int, bool], None]
# (array (n, channels) to fill; ns until its first sample sounds; the device ran dry before)
OnOutput: TypeAlias = Callable[[Samples, int, bool], None]


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device in one direction."""

    index: int
    name: str
    channels: int  # 1 or 2
    rate: int  # its own
    served: str = ""  # the sound server's name for it, where it is reached through the server alone


class SoundStream(Protocol):
    """A running stream."""

    latency_ns: int  # the device's and the system's part
    place: str  # the sound server's name for the device that it is on; empty where no server tells
    offered: frozenset[str]  # and all devices that the server had when the stream was opened

    @property
    def alive(self) -> bool:
        """False once the device has gone, or the sound server has moved the stream to another one."""

    def close(self) -> None:
        """Stop and release. Idempotent; no callback runs after it."""


class SoundHost(Protocol):
    """A sound system. The callbacks run on its own real-time thread."""

    def devices(self, kind: Kind) -> list[Device]:
        """All there are, the default one first."""

    def refresh(self) -> None:
        """Look again which devices there are, if that disturbs no open stream."""

    def usable_rate(self, device: Device, kind: Kind, wanted: int) -> int:
        """``wanted`` where the device takes it, else the device's own."""

    def open_input(self, device: Device, rate: int, block_ns: int, on_input: OnInput) -> SoundStream:
        """Start recording in blocks of ``block_ns``, the device's channels. Raises DeviceError."""

    def open_output(self, device: Device, rate: int, block_ns: int, on_output: OnOutput) -> SoundStream:
        """Start playing in blocks of ``block_ns``, the device's channels. Raises DeviceError."""
