"""The machine's own sound system, through PortAudio."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from realtime_dub.audio.device_contract import Device, Kind, OnInput, OnOutput, SoundStream
from realtime_dub.audio.pulse_watch import PulseWatch, is_steady, led_to, served
from realtime_dub.errors import DependencyError, DeviceError
from realtime_dub.media import NS, ns_to_samples
from realtime_dub.quiet import quiet

try:
    import sounddevice
except OSError as error:  # the Python package is there, the C library is not
    raise DependencyError(
        "cannot use sound devices:", "PortAudio is missing", "install it (Debian, Ubuntu: apt install libportaudio2)"
    ) from error

PLUGIN = "pulse"  # ALSA's way to the sound server
MOST_CHANNELS = 2  # a voice; sound servers offer 32
# A callback in Python waits for the interpreter's lock, 5 ms for each thread that is busy; what waits in the buffer
# does not delay the voice, because each buffer is asked for by the instant at which it will sound.
OUTPUT_LATENCY_S = 0.04
LONGEST_AGE_NS = NS  # a device time further off than this is nonsense: some drivers leave it at 0

_lock = threading.RLock()  # PortAudio is not thread-safe in opening, closing and initialising
_open_streams: set[int] = set()


class PortAudioStream:
    """One running stream."""

    def __init__(self, stream: Any, watch: PulseWatch) -> None:
        self._stream, self._watch = stream, watch
        self.latency_ns = max(0, round(stream.latency * NS))
        self.place, self.offered = watch.device, watch.devices
        self._closed = False

    @property
    def alive(self) -> bool:
        try:
            return not (self._closed or self._watch.moved.is_set()) and bool(self._stream.active)
        except sounddevice.PortAudioError:
            return False

    def close(self) -> None:
        with _lock:
            if not self._closed:
                self._closed = True
                self._watch.close()
                self._stream.close(ignore_errors=True)
                _open_streams.discard(id(self))


class PortAudioHost:
    """All devices of PortAudio's host APIs, and those of a sound server behind them."""

    def devices(self, kind: Kind) -> list[Device]:
        with _lock, _device_errors("cannot list sound devices:"):
            found = [_device(info, kind) for info in sounddevice.query_devices() if info[f"max_{kind}_channels"] > 0]
            first = sounddevice.default.device[kind]
            found.sort(key=lambda device: device.index != first)
        way = next((device for device in found if device.name == PLUGIN), None)
        return [*found, *(replace(way, name=name, served=name) for name in served(kind))] if way is not None else found

    def refresh(self) -> None:
        with _lock:
            if _open_streams:
                return
            if not is_steady():
                raise DeviceError("cannot look for sound devices:", "the sound server has gone", "start it again")
            with _device_errors("cannot look for sound devices:"):
                if sounddevice._initialized:
                    sounddevice._terminate()  # the only way to make PortAudio look again
                sounddevice._initialize()

    def usable_rate(self, device: Device, kind: Kind, wanted: int) -> int:
        check = sounddevice.check_input_settings if kind == "input" else sounddevice.check_output_settings
        try:
            with _lock, quiet():
                check(device.index, device.channels, "float32", None, wanted)
        except (sounddevice.PortAudioError, ValueError):
            return device.rate
        return wanted

    def open_input(self, device: Device, rate: int, block_ns: int, on_input: OnInput) -> SoundStream:
        def callback(samples: Any, frames: int, times: Any, status: Any) -> None:
            age_ns = round((times.currentTime - times.inputBufferAdcTime) * NS)
            block_ns = frames * NS // rate  # no block is complete before its last sample was captured
            on_input(samples, age_ns if block_ns < age_ns < LONGEST_AGE_NS else block_ns, status.input_overflow)

        return _start("input", device, rate, ns_to_samples(block_ns, rate), "low", callback)

    def open_output(self, device: Device, rate: int, block_ns: int, on_output: OnOutput) -> SoundStream:
        def callback(samples: Any, frames: int, times: Any, status: Any) -> None:
            ahead_ns = round((times.outputBufferDacTime - times.currentTime) * NS)
            on_output(samples, ahead_ns if 0 <= ahead_ns < LONGEST_AGE_NS else 0, status.output_underflow)

        return _start("output", device, rate, ns_to_samples(block_ns, rate), OUTPUT_LATENCY_S, callback)


HOST = PortAudioHost()


def _device(info: Any, kind: Kind) -> Device:
    channels = min(info[f"max_{kind}_channels"], MOST_CHANNELS)
    return Device(info["index"], info["name"], channels, round(info["default_samplerate"]))


def _start(kind: Kind, device: Device, rate: int, block: int, latency: Any, callback: Any) -> PortAudioStream:
    make = sounddevice.InputStream if kind == "input" else sounddevice.OutputStream
    with _lock, quiet(), _device_errors(f"cannot open sound device {device.name!r}:"), PulseWatch(kind) as watch:
        with led_to(device, kind):
            stream = make(rate, block, device.index, device.channels, "float32", latency, callback=callback)
        with _closed_on_error(stream):
            stream.start()
            watch.begin()
        opened = PortAudioStream(stream, watch)
        _open_streams.add(id(opened))
        return opened


@contextmanager
def _closed_on_error(stream: Any) -> Iterator[None]:
    """What does not start is not left open: PortAudio would call what Python has let go of."""
    try:
        yield
    except BaseException:
        stream.close(ignore_errors=True)
        raise


@contextmanager
def _device_errors(what: str) -> Iterator[None]:
    try:
        yield
    except (sounddevice.PortAudioError, ValueError) as error:
        reason = str(error.args[0]) if error.args else type(error).__name__
        raise DeviceError(what, reason, "plug it in, or close the program that uses it") from error
