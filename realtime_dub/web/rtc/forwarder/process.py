"""The forwarder's process, started by ``forwarder``: headers, encryption and the socket, for all who take a run.

It does one thing after another, and reads nothing but what its worker says. Both count in the same way, so that the
worker knows the number of each packet: it sends what is asked for again, and goes on where this process ends.
"""

from __future__ import annotations

import gc
import signal
import socket
import struct
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pylibsrtp import Policy, Session

# In place, without three copies of each packet: half of the time.
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

from realtime_dub.web.rtc.forwarder import wire
from realtime_dub.web.rtc.line import UDP_SEGMENT
from realtime_dub.web.rtc.rollover import caught_up

HEADER = struct.Struct("!BBHLL")
NUMBER, SEGMENT = struct.Struct("!H"), struct.Struct("=H")
MARKER = 0x80
WINDOW = 1_024  # of numbers that may be encrypted again, as aiortc has it
Part = tuple[int, Any, int, int]  # where a packet begins, the same for libsrtp, its bytes before the tag, its marker


def main(descriptor: int) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):  # whoever began this one says when it ends
        signal.signal(number, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=descriptor) as channel:
        channel.send(b"\0")
        with suppress(OSError):  # the worker has ended
            Forwarding(channel).run()


class Way:
    """To one receiver, from one sender."""

    def __init__(self, place: wire.Place, through: socket.socket) -> None:
        """Raises pylibsrtp's Error, ValueError."""
        self.place, self.to, self.socket = place, (place.host.decode(), place.port), through
        self.index, self.picture = place.next_index, place.picture
        policy = Policy(place.key, Policy.SSRC_ANY_OUTBOUND, srtp_profile=place.profile)
        policy.allow_repeat_tx, policy.window_size = True, WINDOW
        self._session = Session(policy)
        self.srtp = self._session._srtp[0]
        self.cuts = True
        self.extension_bytes = len(place.before) + len(place.after) + (3 if place.has_time else 0)
        self.shape = self.extension_bytes, wire.tag_bytes(place.profile)
        caught_up(self._session.protect, place.source, 0, place.next_index)


class Layout:
    """Where a run's payloads lie in packets of one shape. The block is all of them, with nothing of anybody's own."""

    def __init__(self, run: Run, extensions: int, tag: int, pointer: Any) -> None:
        head = HEADER.size + extensions
        self.stride = head + run.size + tag
        self.picture = head + wire.NAME_BYTES
        self.pack = struct.Struct(f"!BBHLL{extensions}s").pack_into
        self.parts: list[Part] = []
        block = bytearray()
        for number, payload in enumerate(run.payloads()):
            at, is_last = number * self.stride, run.ends and number == run.count - 1
            self.parts.append((at, pointer + at, head + len(payload), MARKER if is_last else 0))
            block += bytes(head) + payload + bytes(tag)
        self.block = bytes(block)


class Run:
    """Payloads that leave together."""

    def __init__(self, message: memoryview) -> None:
        _, marks, self.count, self.size, offset, self.group, self.ticks, self.at = wire.RUN_HEAD.unpack_from(message)
        self.is_numbered, self.ends = bool(marks & wire.NUMBERED), bool(marks & wire.LAST)
        self.begins = offset == 0
        self._data = message[wire.RUN_HEAD.size :]

    def payloads(self) -> Iterator[memoryview]:
        for number in range(self.count):
            yield self._data[number * self.size : (number + 1) * self.size]


class Forwarding:
    """In that process."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._message = memoryview(bytearray(wire.MOST_MESSAGE))
        self._packets = bytearray(wire.MOST_MESSAGE)
        self._view, self._pointer = memoryview(self._packets), ffi.from_buffer(self._packets)
        self._length = ffi.new("int *")
        self._ways: dict[int, Way] = {}
        self._groups: defaultdict[int, dict[int, Way]] = defaultdict(dict)

    def run(self) -> None:
        """Until the worker has ended."""
        message, room = self._message, socket.CMSG_SPACE(struct.calcsize("i"))
        while True:
            size, more, _, _ = self._channel.recvmsg_into([message], room, socket.MSG_CMSG_CLOEXEC)
            if not size:
                return
            if message[0] == wire.RUN:
                self._forward(Run(message[:size]))
            elif message[0] == wire.TAKE:
                self._take(wire.Place.read(message), [struct.unpack("i", data)[0] for _, _, data in more])
            elif message[0] == wire.ASK:
                self._give_back(0)
            else:
                self._drop(wire.DROPPED.unpack_from(message)[1])

    def _take(self, place: wire.Place, descriptors: list[int]) -> None:
        sockets = [socket.socket(fileno=each) for each in descriptors]
        try:
            way = Way(place, *sockets)
            self._ways[place.number] = self._groups[place.group][place.number] = way
        except Exception:  # there are no descriptors left, or libsrtp does not want it: the worker has another way
            for each in sockets:
                each.close()
            self._give_back(place.number)

    def _drop(self, number: int) -> None:
        way = self._ways.pop(number, None)
        if way is not None:
            way.socket.close()
            members = self._groups[way.place.group]
            del members[number]
            if not members:
                del self._groups[way.place.group]

    def _forward(self, run: Run) -> None:
        layouts: dict[tuple[int, int], Layout] = {}
        for number, way in tuple(self._groups.get(run.group, {}).items()):
            layout = layouts.get(way.shape)
            if layout is None:
                layout = layouts[way.shape] = Layout(run, *way.shape, self._pointer)
            if self._seal(way, layout, run):
                self._send(way, layout.stride, len(layout.block))
            else:
                self._drop(number)
                self._give_back(number)

    def _seal(self, way: Way, layout: Layout, run: Run) -> bool:
        """Its packets, one behind another where they are sent from. False: they cannot be encrypted."""
        place, packets, length, srtp, protect = way.place, self._packets, self._length, way.srtp, lib.srtp_protect
        extensions = place.before + run.at + place.after if place.has_time else place.before
        timestamp, pack, index = (place.timestamp_0 + run.ticks) & 0xFFFFFFFF, layout.pack, way.index
        if run.is_numbered and run.begins:
            way.picture = (way.picture + 1) & 0x7FFF
        picture = 0x8000 | way.picture
        packets[: len(layout.block)] = layout.block
        for at, pointer, size, marker in layout.parts:
            pack(packets, at, place.first, place.kind | marker, index & 0xFFFF, timestamp, place.source, extensions)
            if run.is_numbered:
                NUMBER.pack_into(packets, at + layout.picture, picture)
            length[0] = size
            if protect(srtp, pointer, length) != lib.srtp_err_status_ok:
                return False
            index += 1
        way.index = index
        return True

    def _send(self, way: Way, stride: int, size: int) -> None:
        """What the system does not take just now goes back to the worker, where it may wait."""
        at = 0
        try:
            if way.cuts and size > stride:
                try:
                    cut = (socket.SOL_UDP, UDP_SEGMENT, SEGMENT.pack(stride))
                    way.socket.sendmsg([self._view[:size]], [cut], 0, way.to)
                    return
                except BlockingIOError:
                    raise
                except OSError:  # this system, its card or its way cannot: from now on it is not asked again
                    way.cuts = False
            while at < size:
                way.socket.sendto(self._view[at : min(size, at + stride)], way.to)
                at += stride
        except BlockingIOError:
            self._give_back(way.place.number, stride, self._view[at:size])
        except OSError:  # as one that is lost on the way
            pass

    def _give_back(self, number: int, stride: int = 0, packets: memoryview | bytes = b"") -> None:
        with suppress(BlockingIOError):  # the worker has not read what came before
            self._channel.sendmsg([wire.BACK.pack(number, stride), packets], [], socket.MSG_DONTWAIT)
