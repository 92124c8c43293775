"""The delayed voice on a sound device: for a person's ears, or for a meeting program that takes it as a microphone."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from realtime_dub.audio.device_contract import SoundHost, SoundStream
from realtime_dub.audio.drift import JUMP_NS, DriftEstimator, catch_up
from realtime_dub.audio.mono import MonoMixer
from realtime_dub.audio.resample import SincInterpolator
from realtime_dub.audio.sound_host import STALL_NS, START_NS, Reopener, Whereabouts, find_device, system_host
from realtime_dub.clock import Clock
from realtime_dub.errors import DeviceError
from realtime_dub.losses import Lost
from realtime_dub.media import MS, NS, OutputFormat, Samples, Tick, samples_to_ns
from realtime_dub.publishers.base import ReadVoice

BLOCK_NS = 10 * MS
STEADY_BLOCKS = 100  # a device may take its first buffers at once and then pause
AGREEING_BLOCKS = 10  # so long its times have to agree before a device that came back is believed
SLIP_NS = 20 * MS  # further off than this the place in the voice is changed at once, faded, instead of caught up with
USUAL_LATENCY_NS = 30 * MS  # until the device has said its own


class SpeakerPublisher:
    """Plays each instant of the voice when the pipeline's clock says so, whatever rate the card's crystal runs at.

    The card says when a buffer will sound; a drift estimator smooths that, and the voice is read and resampled along
    it. A lost device is waited for.
    """

    policy: Literal["latest", "every"] = "latest"

    def __init__(self, device: str, clock: Clock, host: SoundHost | None = None) -> None:
        self.name = f"speaker {device}"
        self.latency_ns = USUAL_LATENCY_NS
        self._spec, self._clock, self._host = device, clock, host
        self._read_voice: ReadVoice | None = None
        self._reopener = Reopener("speaker-reopen", self._reopen, clock)
        self._stream: SoundStream | None = None  # None while the device is lost
        self._dead: SoundStream | None = None  # closed on the reopener's thread: that can hang for a while
        self._whereabouts: Whereabouts | None = None
        self._closed = False
        self._played = 0  # blocks on this stream
        self._due_ns = 0  # no block by then: the device is lost
        self.underflows = 0
        self.slips = 0  # times that the place in the voice was changed at once
        self.losses = 0

    @property
    def notes(self) -> list[str]:
        """Lines for the report: what became of the device."""
        return self._whereabouts.notes if self._whereabouts is not None else []

    def lost(self) -> Lost:
        return Lost(overflows=self.underflows, slips=self.slips, devices=self.losses)

    def attach(self, read_voice: ReadVoice) -> None:
        """Where the voice is read. Before :meth:`open`."""
        self._read_voice = read_voice

    def open(self, fmt: OutputFormat) -> None:
        if fmt.rate == 0:
            return
        assert self._read_voice is not None, "attach comes before open"
        self._host = self._host or system_host()
        self._device = find_device(self._host, self._spec, "output")
        self.name = f"speaker {self._device.name}"
        self._rate = self._host.usable_rate(self._device, "output", fmt.rate)
        self._player = VoicePlayer(self._read_voice, fmt.rate, self._rate)
        self._whereabouts = Whereabouts(self._device, self._spec, "output")
        stream = self._host.open_output(self._device, self._rate, BLOCK_NS, self._on_output)
        self._take_over(self._whereabouts.opened(stream))

    def publish(self, tick: Tick) -> None:
        """Pictures are not for the ear: only looks whether the device still lives."""
        if self._closed or self._whereabouts is None:
            return
        if self._stream is None:
            if stream := self._reopener.poll():
                self._take_over(stream)
        elif not self._stream.alive or self._clock.now_ns() > self._due_ns:
            self._dead, self._stream = self._stream, None
            self.losses += 1
            self._whereabouts.lost()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._reopener.close()
        for stream in (self._stream, self._dead):
            if stream is not None:
                stream.close()

    def _on_output(self, out: Samples, ahead_ns: int, underflow: bool) -> None:
        """On PortAudio's thread."""
        now_ns = self._clock.now_ns()
        self._played += 1
        self._due_ns = now_ns + (STALL_NS if self._played > STEADY_BLOCKS else START_NS)
        if self._stream is None:  # not known to be the right device
            out.fill(0.0)
            return
        self.underflows += underflow
        self.slips += self._player.play(out, now_ns + ahead_ns, underflow)

    def _take_over(self, stream: SoundStream) -> None:
        self._stream = stream
        self._played = 0
        self._due_ns = self._clock.now_ns() + START_NS
        self.latency_ns = stream.latency_ns

    def _reopen(self) -> SoundStream:
        assert self._host is not None
        assert self._whereabouts is not None
        if self._dead is not None:
            self._dead.close()
        self._host.refresh()
        device = find_device(self._host, "default" if self._spec == "default" else self._device.name, "output")
        if self._host.usable_rate(device, "output", self._rate) != self._rate:
            raise DeviceError(f"speaker {device.name!r}", f"does not run at {self._rate} Hz any more")
        self._player.restart()
        return self._whereabouts.opened(self._host.open_output(device, self._rate, BLOCK_NS, self._on_output))


class VoicePlayer:
    """Fills a device's buffers with the voice of the instants at which they sound.

    The place in the voice is kept as a number of voice samples since the first instant asked for; it moves on at the
    device's measured rate, and small errors are worked off too slowly to be heard.
    """

    def __init__(self, read_voice: ReadVoice, voice_rate: int, device_rate: int) -> None:
        self._read_voice, self._rate = read_voice, voice_rate
        self._step = voice_rate / device_rate  # voice samples per device sample
        self._estimator = DriftEstimator(device_rate)
        self._sinc = SincInterpolator(min(1.0, device_rate / voice_rate))
        self._mono = MonoMixer(device_rate)
        self._count = 0  # device samples so far
        self._origin_ns: int | None = None
        self._place = 0.0
        self._restart = True
        self._unsteady = 0  # blocks of silence until then, less if its times agree
        self._agreed = 0

    def restart(self) -> None:
        """The device was opened anew: its next time starts a new line, and it is silent until its times agree."""
        self._restart = True
        self._unsteady, self._agreed = STEADY_BLOCKS, 0

    def play(self, out: Samples, sounds_ns: int, broken: bool) -> bool:
        """Fill ``out`` (n, channels), whose first sample sounds at ``sounds_ns`` (with jitter). True where it slipped.

        ``broken``: the device ran dry before this buffer, so its count and the clock have parted.
        """
        wanted = self._wanted(sounds_ns, broken)
        if self._unsteady:
            out.fill(0.0)
            self._place = wanted + self._step * len(out)
            self._count += len(out)
            return False
        behind = wanted - self._place
        step = self._step * (1.0 + self._estimator.skew_ppm * 1e-6)
        slipped = abs(behind) * NS > SLIP_NS * self._rate
        if slipped:
            fade = np.linspace(0.0, 1.0, len(out), dtype=np.float32)[:, None]
            left = self._voice(self._place, step, len(out))
            self._place = wanted
            voice = left + fade * (self._voice(wanted, step, len(out)) - left)
        else:
            step *= 1.0 + catch_up(behind, self._rate)
            voice = self._voice(self._place, step, len(out))
        out[:] = voice if voice.shape[1] == out.shape[1] else self._mono(voice)[:, None]
        self._place += step * len(out)
        self._count += len(out)
        return slipped

    def _wanted(self, sounds_ns: int, broken: bool) -> float:
        if broken or self._restart:
            self._estimator.restart(self._count, sounds_ns)
            self._restart = False
        elif self._unsteady and abs(sounds_ns - self._estimator.time_ns(self._count)) > JUMP_NS:
            self._estimator.restart(self._count, sounds_ns)
            self._unsteady, self._agreed = self._unsteady - 1, 0
        else:
            self._agreed += 1
            self._unsteady = 0 if self._agreed >= AGREEING_BLOCKS else max(0, self._unsteady - 1)
            self._estimator.update(self._count, sounds_ns)
            if self._estimator.jumped:
                self._estimator.restart(self._count, sounds_ns)
        smooth_ns = self._estimator.time_ns(self._count)
        self._origin_ns = smooth_ns if self._origin_ns is None else self._origin_ns
        return (smooth_ns - self._origin_ns) * self._rate / NS

    def _voice(self, place: float, step: float, count: int) -> Samples:
        assert self._origin_ns is not None
        first = math.floor(place) - self._sinc.half + 1
        length = math.ceil(step * count) + 2 * self._sinc.half + 1
        # on a grid of whole voice samples, so that the ring's rounding is the same every time
        samples = self._read_voice(self._origin_ns + samples_to_ns(first, self._rate), length)
        positions: npt.NDArray[np.float64] = place - first + step * np.arange(count)
        whole = np.floor(positions)
        return self._sinc.at(samples, whole.astype(np.intp), positions - whole)
