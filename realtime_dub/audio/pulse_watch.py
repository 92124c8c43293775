"""Where the sound server has put a stream of ours.

PulseAudio, and PipeWire in its place, move a stream to another device when its own goes or the default changes. Neither
ALSA's plugin nor PortAudio tells of it or can forbid it, and the times of the samples are wrong from there on. So the
server is asked over a connection of our own, and a stream that was moved is ended at once: who opened it opens it
again by name. Where there is no such server, or a device is not behind it, there is nothing to watch.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from realtime_dub.audio.device_contract import Device, Kind
from realtime_dub.imports import unsearched

try:
    with unsearched():
        import pulsectl
except (ImportError, OSError):  # no Linux, or no libpulse: then ALSA's plugin has none either
    pulsectl = None

CONNECT_S = (0.02, 0.1, 1.0)  # each try takes its whole time, also where the server answers at once
LOOK_S = 0.2  # between looks whether the stream was closed
CHOOSES: dict[Kind, str] = {"input": "PULSE_SOURCE", "output": "PULSE_SINK"}  # libpulse reads them
NOWHERE = 0xFFFFFFFF  # the device of a stream that is being moved
_met = threading.Event()  # a sound server has answered in this process


def is_steady() -> bool:
    """The sound server that this process has met answers; True also where it has met none.

    PortAudio counts all devices and then lists them. A server that comes in between has more than were counted, and
    PortAudio aborts the process. One that answers now can only go.
    """
    if not _met.is_set():
        return True
    try:
        Server("output").close()
    except OSError:
        return False
    return True


def served(kind: Kind) -> list[str]:
    """The server's names for its devices, null sinks too; PortAudio has none of them. Empty where none answers."""
    try:
        server = Server(kind)
    except OSError:
        return []
    try:
        return list(server.devices().values())
    except OSError:
        return []
    finally:
        server.close()


@contextmanager
def led_to(device: Device, kind: Kind) -> Iterator[None]:
    """What is opened within, through ALSA's plugin, is put there: libpulse looks for the name when it is opened."""
    if not device.served:
        yield
        return
    name = CHOOSES[kind]
    before = os.environ.get(name)
    os.environ[name] = device.served
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


class Server:
    """The streams of this process in one direction. All calls are for one thread at a time. Raises OSError."""

    def __init__(self, kind: Kind) -> None:
        if pulsectl is None:
            raise OSError("libpulse is missing")
        self._kind = kind
        self._pulse = pulsectl.Pulse("realtime-dub", connect=False)
        self._connect()
        _met.set()

    def _connect(self) -> None:
        for timeout_s in CONNECT_S:
            try:
                self._pulse.connect(timeout=timeout_s)
                return
            except pulsectl.PulseError as error:
                why = str(error)
        self.close()
        raise OSError(why)

    def streams(self) -> list[Any]:
        """Those of this process, each with ``index``, ``client`` and ``device``, an index."""
        found = self._ask(self._pulse.sink_input_list if self._kind == "output" else self._pulse.source_output_list)
        for each in found:
            each.device = each.sink if self._kind == "output" else each.source
        return [each for each in found if each.proplist.get("application.process.id") == str(os.getpid())]

    def devices(self) -> dict[int, str]:
        """All names, by index."""
        found = self._ask(self._pulse.sink_list if self._kind == "output" else self._pulse.source_list)
        return {each.index: str(each.name) for each in found}

    def subscribe(self, changed: Callable[[], None]) -> None:
        """``changed`` is called, within any call here, whenever a stream comes, goes or changes."""

        def on_event(_: object) -> None:
            changed()
            raise pulsectl.PulseLoopStop

        self._pulse.event_callback_set(on_event)
        self._ask(lambda: self._pulse.event_mask_set("sink_input" if self._kind == "output" else "source_output"))

    def wait(self) -> None:
        """For a change, but not long."""
        self._ask(lambda: self._pulse.event_listen(LOOK_S))

    def kill(self, stream: int) -> None:
        """End a stream with all that it holds: nothing of it is heard any more."""
        way = "sink_input" if self._kind == "output" else "source_output"
        library: Any = ctypes.CDLL("libpulse.so.0")
        end, forget = library[f"pa_context_kill_{way}"], library["pa_operation_unref"]  # pulsectl has no call for it
        end.argtypes = (ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p)
        end.restype, forget.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)
        if operation := end(self._pulse._ctx, stream, None, None):
            forget(operation)
        self.streams()  # waits for an answer, so that what was asked is done

    def close(self) -> None:
        self._pulse.close()

    def _ask(self, what: Callable[[], Any]) -> Any:
        try:
            return what()
        except Exception as error:  # pulsectl lets libpulse's own through, of several kinds
            raise OSError(f"the sound server has gone: {error}") from error


class PulseWatch:
    """Watches one stream of ours, on a thread of its own. Made before the stream is opened: it is the one that then
    is new. ``device`` is the server's name for where it plays or records, empty where that cannot be known; ``devices``
    are all that there were then.
    """

    def __init__(self, kind: Kind) -> None:
        self.device, self.devices = "", frozenset[str]()
        self.moved = threading.Event()
        self._closed = threading.Event()
        self._changed = True
        self._server: Server | None = None
        try:
            self._server = Server(kind)
            self._before = {each.client for each in self._server.streams()}
        except OSError:
            self._give_up()

    def __enter__(self) -> PulseWatch:
        return self

    def __exit__(self, *error: object) -> None:
        """Where the stream could not be opened there is nothing to watch."""
        if error[0] is not None:
            self._give_up()

    def begin(self) -> None:
        """The stream is open."""
        if self._server is None:
            return
        try:
            self._server.subscribe(self._change)
            mine = next((each for each in self._server.streams() if each.client not in self._before), None)
            if mine is None:  # a sound card without a server before it
                self._give_up()
                return
            self._client, self._index, devices = mine.client, mine.device, self._server.devices()
            self.device, self.devices = devices.get(mine.device, ""), frozenset(devices.values())
        except OSError:
            self._give_up()
            return
        threading.Thread(target=self._run, args=(self._server,), name="sound-server watch", daemon=True).start()

    def close(self) -> None:
        """The thread ends a moment later."""
        self._closed.set()

    def _give_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def _change(self) -> None:
        self._changed = True

    def _run(self, server: Server) -> None:
        try:
            while not self._closed.is_set() and not self.moved.is_set():
                if not self._changed:
                    server.wait()
                    continue
                self._changed = False
                self._look(server)
        except OSError:
            pass  # so has the stream
        finally:
            server.close()

    def _look(self, server: Server) -> None:
        """By the client, because ALSA's plugin begins a new stream after a buffer that ran dry."""
        for each in server.streams():
            if each.client == self._client and each.device not in (self._index, NOWHERE):
                self.moved.set()
                server.kill(each.index)
