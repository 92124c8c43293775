"""Devices that come and go: the newest picture while they are there, the last one again while they are not."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import NamedTuple, Protocol

from realtime_dub.clock import Clock
from realtime_dub.errors import EndOfStream, UserError
from realtime_dub.fitting import Fit
from realtime_dub.flow import LatestSlot
from realtime_dub.losses import Lost
from realtime_dub.media import BLACK, Coded, Colour, Frame, Image

SILENCE_S = 0.5  # a device that says nothing for this long is taken as lost, though its read has not failed
FIRST_RETRY_S, LAST_RETRY_S = 0.25, 4.0
JOIN_S = 2.0


class LinkLost(Exception):
    """The device or the connection has gone; it may come back."""


class Grabbed(NamedTuple):
    """A picture of any size."""

    image: Image
    coded: Coded | None  # the same as it came, where outputs may take it over
    stamp_ns: int  # the clock's time of its capture


class Link(Protocol):
    """A connection that can be made again. All calls come from one thread at a time."""

    def connect(self) -> None:
        """Raises UserError where that fails."""

    def grab(self) -> Grabbed:
        """Wait for the next picture.

        Raises LinkLost, or EndOfStream.
        """

    def release(self) -> None:
        """Let go. Idempotent."""


class NewestFrame:
    """Reads a connected ``link`` on a thread, without pause, so that no driver or network buffer holds old pictures.

    All pictures have the size of the first. Those of another, which a device may have when it comes back, are fitted
    into it.

    While the link is lost, ``read`` gives the last picture, ``stale``, stamped with the present, once per period of
    ``fps``; the thread tries to connect again after 0.25 s, then 0.5, 1, 2 and 4 s. A thread that hangs in the device
    is left behind by ``close`` after two seconds; it ends, and releases the device, when its read returns.
    """

    def __init__(
        self,
        link: Link,
        clock: Clock,
        name: str,
        fps: Fraction,
        closing: threading.Event,
        background: Colour = BLACK,
        late_ns: int = 0,
    ) -> None:
        """``late_ns``: how long before its stamp each picture was taken."""
        self._link, self._late_ns = link, late_ns
        self._clock = clock
        self._closing = closing
        self._period_s = float(1 / fps)
        self._fit = Fit(background)
        self._slot: LatestSlot[tuple[Grabbed, int]] = LatestSlot()  # with the scene
        self._lost = threading.Event()
        self._error: Exception | None = None
        self._silent_s = 0.0
        self._seq = 0
        self._last_ns = -1 - late_ns
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, first: Grabbed) -> None:
        """Begin with the picture that was grabbed to see whether the device works."""
        self._put(first)
        self._last, self._scene = first, self._fit.scene
        self._thread.start()

    def read(self) -> Frame:
        """The newest picture not yet given. Raises EndOfStream, or what went wrong in the thread."""
        while not self._closing.is_set():
            grabbed = self._slot.take(self._period_s)
            if grabbed is not None:
                self._silent_s = 0.0
                self._last, self._scene = grabbed
                return self._frame(self._last.stamp_ns, stale=False)
            if self._slot.closed:
                break
            self._silent_s += self._period_s
            if self._lost.is_set() or self._silent_s >= SILENCE_S:
                return self._frame(self._clock.now_ns(), stale=True)
        if self._error is not None and not self._closing.is_set():
            raise self._error
        raise EndOfStream

    @property
    def dropped(self) -> int:
        """Pictures that were not read before a newer one came."""
        return self._slot.dropped

    def close(self) -> None:
        self._closing.set()
        self._slot.close()
        if self._thread.ident is not None:
            self._thread.join(JOIN_S)

    def _frame(self, stamp_ns: int, stale: bool) -> Frame:
        self._last_ns = max(stamp_ns - self._late_ns, self._last_ns + 1)
        image, coded, _ = self._last
        frame = Frame(image, self._last_ns, self._seq, stale=stale, scene=self._scene, coded=coded)
        self._seq += 1
        return frame

    def _put(self, grabbed: Grabbed) -> None:
        image = self._fit(grabbed.image)
        if image is not grabbed.image:
            grabbed = Grabbed(image, None, grabbed.stamp_ns)
        self._slot.put((grabbed, self._fit.scene))

    def _run(self) -> None:
        try:
            self._pump()
        except EndOfStream:
            pass
        except Exception as error:  # the reader's
            self._error = error
        finally:
            self._link.release()
            self._slot.close()

    def _pump(self) -> None:
        connected, retry_s = True, FIRST_RETRY_S
        while not self._closing.is_set():
            try:
                if not connected:
                    self._link.connect()
                    connected = True
                self._put(self._link.grab())
                self._lost.clear()
                retry_s = FIRST_RETRY_S
            except (LinkLost, UserError):
                self._lost.set()
                self._link.release()
                connected = False
                self._closing.wait(retry_s)
                retry_s = min(2 * retry_s, LAST_RETRY_S)


class NewestSource:
    """What sources on a ``NewestFrame`` share: it is made by ``open`` and ends with ``close``."""

    def __init__(self) -> None:
        self._closing = threading.Event()
        self._newest: NewestFrame | None = None

    def read(self) -> Frame:
        if self._newest is None:
            raise RuntimeError("read before open")
        return self._newest.read()

    def lost(self) -> Lost:
        return Lost(drops=self._newest.dropped if self._newest is not None else 0)

    def close(self) -> None:
        self._closing.set()
        if self._newest is not None:
            self._newest.close()
