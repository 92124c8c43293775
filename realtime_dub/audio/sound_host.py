"""The machine's sound system: how a device is found, and how a lost one is brought back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import Future

from realtime_dub.audio.device_contract import Device, Kind, SoundHost, SoundStream
from realtime_dub.clock import Clock
from realtime_dub.errors import DeviceError
from realtime_dub.flow import Worker
from realtime_dub.imports import resolve
from realtime_dub.media import MS, NS
from realtime_dub.paths import is_number

STALL_NS = 500 * MS  # a device that has run and is silent for this long is lost
START_NS = 3 * NS  # what it may take to give the first block (Bluetooth)
FIRST_BACK_OFF_NS = 250 * MS
LONGEST_BACK_OFF_NS = 2 * NS
WORDS = {"input": "microphone", "output": "speaker"}
FOLLOWING = ("default", "sysdefault", "pulse", "pipewire")  # ALSA's names for wherever the sound server puts a stream


def system_host() -> SoundHost:
    """The machine's own. Raises DependencyError where its library is missing."""
    host: SoundHost = resolve("realtime_dub.audio.portaudio:HOST")
    return host


def find_device(host: SoundHost, spec: str, kind: Kind) -> Device:
    """By ``default``, index, name or part of a name. Raises DeviceError that lists what there is."""
    devices = host.devices(kind)
    name = spec.strip().lower()
    if name == "default" and devices:
        return devices[0]
    for wanted in (
        lambda device: is_number(name) and device.index == int(name),
        lambda device: device.name.lower() == name,
        lambda device: bool(name) and name in device.name.lower(),
    ):
        if found := [device for device in devices if wanted(device)]:
            return found[0]
    raise DeviceError(f"no {WORDS[kind]}", repr(spec), describe(devices, kind))


def describe(devices: list[Device], kind: Kind) -> str:
    """What there is, for an error's last part."""
    if not devices:
        return f"connect a {WORDS[kind]}: this machine shows none"
    by_index = sorted(devices, key=lambda one: (bool(one.served), one.index))
    listed = ", ".join(repr(one.name) if one.served else f"{one.index} {one.name!r}" for one in by_index)
    return f"choose one of {listed}"


class Whereabouts:
    """Which of the sound server's devices a microphone or a speaker is on. What was chosen as ``default`` follows the
    server's default, which is noted; what was chosen by name stays on its own device, and is waited for.
    """

    def __init__(self, device: Device, spec: str, kind: Kind) -> None:
        self._what = f"{WORDS[kind]} {device.name}"
        self._follows = spec.strip().lower() in FOLLOWING or device.name.lower() in FOLLOWING
        self._place = ""
        self._losses = 0
        self._notes: list[str] = []

    @property
    def notes(self) -> list[str]:
        """Lines for the report."""
        times = f"{self._losses} times" if self._losses > 1 else "once"
        return [*self._notes, *([f"{self._what} was lost {times}"] if self._losses else [])]

    def opened(self, stream: SoundStream) -> SoundStream:
        """``stream`` where it is on the right device; else it is closed. Raises DeviceError."""
        if self._place and stream.place and stream.place != self._place:
            # Where the old one is still there, the name did not mean it: it leaves the choice to the server.
            if not self._follows and self._place not in stream.offered:
                stream.close()
                raise DeviceError(self._what, f"is away: the sound server offers {stream.place} in its place")
            self._notes = [*self._notes[-20:], f"{self._what} is {stream.place} now, was {self._place}"]
            self._losses -= 1
        self._place = stream.place or self._place
        return stream

    def lost(self) -> None:
        """The stream has ended by itself."""
        self._losses += 1


class Reopener:
    """Tries to open a lost device again, on a thread of its own, with growing pauses."""

    def __init__(self, name: str, attempt: Callable[[], SoundStream], clock: Clock) -> None:
        self._name, self._attempt, self._clock = name, attempt, clock
        self._worker: Worker | None = None
        self._future: Future[SoundStream] | None = None
        self._back_off_ns = FIRST_BACK_OFF_NS
        self._due_ns: int | None = None

    def poll(self) -> SoundStream | None:
        """The stream once it is open. To be called again and again while the device is lost."""
        now_ns = self._clock.now_ns()
        if self._future is None:
            self._due_ns = now_ns if self._due_ns is None else self._due_ns
            if now_ns >= self._due_ns:
                self._worker = self._worker or Worker(self._name)
                self._future = self._worker.submit(self._attempt)
            return None
        if not self._future.done():
            return None
        future, self._future = self._future, None
        with contextlib.suppress(DeviceError):
            stream = future.result()
            self._back_off_ns, self._due_ns = FIRST_BACK_OFF_NS, None
            return stream
        self._due_ns = now_ns + self._back_off_ns
        self._back_off_ns = min(2 * self._back_off_ns, LONGEST_BACK_OFF_NS)
        return None

    def close(self) -> None:
        """End the thread; a device that was opened too late is closed."""
        if self._worker is not None:
            self._worker.close()
        if self._future is not None and self._future.done() and self._future.exception() is None:
            self._future.result().close()
        self._worker = self._future = None
