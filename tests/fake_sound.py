"""A sound system that is driven by the test: devices that can be plugged, and streams that are fed by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from realtime_dub.audio.device_contract import Device, Kind, OnInput, OnOutput
from realtime_dub.errors import DeviceError
from realtime_dub.media import MS, Samples


@dataclass
class FakeStream:
    device: Device
    rate: int
    call: OnInput | OnOutput
    latency_ns: int = 20 * MS
    place: str = ""
    offered: frozenset[str] = frozenset()
    alive: bool = True
    closed: bool = False

    def feed(self, samples: Samples, age_ns: int, lost: bool = False) -> None:
        """As the card does when a block is full."""
        self.call(samples, age_ns, lost)

    def drain(self, count: int, ahead_ns: int, dry: bool = False) -> Samples:
        """As the card does when it wants sound."""
        out = np.full((count, self.device.channels), np.nan, np.float32)
        self.call(out, ahead_ns, dry)
        return out

    def close(self) -> None:
        self.closed, self.alive = True, False


@dataclass
class FakeHost:
    plugged: dict[Kind, list[Device]] = field(default_factory=lambda: {"input": [], "output": []})
    streams: list[FakeStream] = field(default_factory=list)
    refreshed: int = 0
    place: str = ""  # where the sound server puts the next stream
    offered: frozenset[str] = frozenset()

    def devices(self, kind: Kind) -> list[Device]:
        return list(self.plugged[kind])

    def refresh(self) -> None:
        self.refreshed += 1

    def usable_rate(self, device: Device, kind: Kind, wanted: int) -> int:
        return device.rate

    def open_input(self, device: Device, rate: int, block_ns: int, on_input: OnInput) -> FakeStream:
        return self._open(device, rate, on_input, "input")

    def open_output(self, device: Device, rate: int, block_ns: int, on_output: OnOutput) -> FakeStream:
        return self._open(device, rate, on_output, "output")

    def _open(self, device: Device, rate: int, call: OnInput | OnOutput, kind: Kind) -> FakeStream:
        if device not in self.plugged[kind]:
            raise DeviceError("gone:", device.name)
        self.streams.append(FakeStream(device, rate, call, place=self.place, offered=self.offered))
        return self.streams[-1]
