"""A live microphone: stamped by the card's own capture times, drift-corrected, surviving its loss."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from realtime_dub.audio.callback_ring import CallbackRing
from realtime_dub.audio.device_contract import SoundHost, SoundStream
from realtime_dub.audio.drift import DriftCorrector
from realtime_dub.audio.samples import Cleaner
from realtime_dub.audio.sound_host import STALL_NS, START_NS, Reopener, Whereabouts, find_device, system_host
from realtime_dub.clock import Clock
from realtime_dub.errors import DeviceError, EndOfStream
from realtime_dub.losses import Lost
from realtime_dub.media import MS, NS, AudioBlock, Samples, VoiceInfo, ns_to_samples

BLOCK_NS = 10 * MS
RING_SLOTS = 200  # 2 s
PREFERRED_RATE = 48_000  # what nearly all cards run at; sound servers report 44,100 and would convert
WAIT_S = 0.05  # between looks whether the device still lives
SETTLED_NS = 50 * MS  # a sound server's first buffers are older than this: it shortens its latency for us as it goes,
SETTLES_NS = NS  # within less than this; what is as old later is how this device is


class MicrophoneSource:
    """A sound device by ``default``, index, name or part of a name; up to two channels.

    Unplugged, it gives silence marked ``gap`` at real-time rate and tries again until the device is back.
    """

    def __init__(self, device: str, clock: Clock, host: SoundHost | None = None) -> None:
        self._spec, self._clock, self._host = device, clock, host
        self._pending: deque[AudioBlock] = deque()
        self._closed = threading.Event()
        self._reopener = Reopener("microphone-reopen", self._reopen, clock)
        self._stream: SoundStream | None = None  # None while the device is lost
        self._dead: SoundStream | None = None  # closed on the reopener's thread: that can hang for a while
        self._whereabouts: Whereabouts | None = None
        self._due_ns = 0  # no block by then: the device is lost
        self._resumed = False  # the next block comes after a loss
        self._settles_until_ns: int | None = None  # from the first buffer on
        self._settled = False
        self._clean = Cleaner()
        self.overflows = 0  # times that the device or the reader lost sound
        self.losses = 0  # times that the device was lost

    @property
    def notes(self) -> list[str]:
        """What the user should know of the sound, as far as it was read, and of the device."""
        device = self._whereabouts.notes if self._whereabouts is not None else []
        return [*self._clean.notes(f"microphone {self._spec!r}"), *device]

    def lost(self) -> Lost:
        return Lost(overflows=self.overflows, slips=self._corrector.slips, devices=self.losses)

    def open(self) -> VoiceInfo:
        self._host = self._host or system_host()
        device = find_device(self._host, self._spec, "input")
        self._rate = self._host.usable_rate(device, "input", PREFERRED_RATE)
        self._device = device
        self._ring = CallbackRing(RING_SLOTS, 2 * ns_to_samples(BLOCK_NS, self._rate), device.channels)
        self._corrector = DriftCorrector(self._rate, device.channels)
        self._whereabouts = Whereabouts(device, self._spec, "input")
        stream = self._host.open_input(device, self._rate, BLOCK_NS, self._on_input)
        self._take_over(self._whereabouts.opened(stream))
        assert self._stream is not None
        # PortAudio's latency is the room in the buffer; it is called for each block, at most that much later
        block_ns = BLOCK_NS + min(self._stream.latency_ns, BLOCK_NS) + self._corrector.delay_ns
        return VoiceInfo(self._rate, device.channels, live=True, name=device.name, block_ns=block_ns)

    def read(self) -> AudioBlock:
        while not self._pending:
            if self._closed.is_set():
                raise EndOfStream
            self._listen() if self._stream is not None else self._bridge()
        return self._pending.popleft()

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        self._reopener.close()
        for stream in (self._stream, self._dead):
            if stream is not None:
                stream.close()

    def _on_input(self, samples: Samples, age_ns: int, lost: bool) -> None:
        """On PortAudio's thread: copies and returns. What comes before the stream is taken over is not for us,
        and what is late only because everything begins would be taken for how late this voice is.
        """
        if self._stream is not None and self._settles(age_ns):
            self._ring.put(samples, self._clock.now_ns() - age_ns, lost)

    def _settles(self, age_ns: int) -> bool:
        if not self._settled:
            now_ns = self._clock.now_ns()
            if self._settles_until_ns is None:
                self._settles_until_ns = now_ns + SETTLES_NS
            self._settled = age_ns <= SETTLED_NS or now_ns >= self._settles_until_ns
        return self._settled

    def _listen(self) -> None:
        block = self._ring.take(WAIT_S)
        if block is not None:
            self.overflows += block.lost
            self._pending += self._corrector.process(
                self._clean(block.samples), block.time_ns, block.lost or self._resumed
            )
            self._resumed = False
            self._due_ns = self._clock.now_ns() + STALL_NS
        elif self._is_lost():
            self._corrector.anchor(self._clock.now_ns())
            self._dead, self._stream = self._stream, None
            self.losses += 1
            assert self._whereabouts is not None
            self._whereabouts.lost()

    def _is_lost(self) -> bool:
        return self._stream is None or not self._stream.alive or self._clock.now_ns() > self._due_ns

    def _bridge(self) -> None:
        """Silence up to now, while the device is away."""
        start_ns = self._corrector.next_ns
        assert start_ns is not None
        self._clock.sleep_until_blocking(start_ns + BLOCK_NS)
        self._pending += self._corrector.fill(self._clock.now_ns())
        if stream := self._reopener.poll():
            self._take_over(stream)
            self._resumed = True

    def _take_over(self, stream: SoundStream) -> None:
        self._stream = stream
        self._due_ns = self._clock.now_ns() + START_NS

    def _reopen(self) -> SoundStream:
        """On the reopener's thread. By name: numbers change when things are plugged."""
        assert self._host is not None
        assert self._whereabouts is not None
        if self._dead is not None:
            self._dead.close()
        self._host.refresh()
        device = find_device(self._host, "default" if self._spec == "default" else self._device.name, "input")
        device = replace(device, channels=min(device.channels, self._device.channels))
        if self._host.usable_rate(device, "input", self._rate) != self._rate:
            raise DeviceError(f"microphone {device.name!r}", f"does not run at {self._rate} Hz any more")
        return self._whereabouts.opened(self._host.open_input(device, self._rate, BLOCK_NS, self._on_input))
