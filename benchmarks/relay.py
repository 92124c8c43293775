"""A bad network between a browser and the server: UDP packets are lost, late, twice and out of order, both ways."""

from __future__ import annotations

import heapq
import random
import re
import selectors
import socket
import threading
import time
from dataclasses import dataclass

END = "a=end-of-candidates\r\n"
CANDIDATE = re.compile(r"^a=candidate:.*\r\n", re.MULTILINE)
FIELDS = re.compile(r"^a=candidate:\S+ \d+ udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", re.MULTILINE)
SIZE = 2_048


@dataclass(frozen=True)
class Line:
    """``loss`` and ``twice``: shares of the packets. ``bits_per_s``: each way, 0 = as many as come."""

    loss: float = 0.0
    jitter_s: float = 0.0
    twice: float = 0.0
    bits_per_s: float = 0.0
    queue_s: float = 0.5  # of what waits where the line is narrow; the rest is lost


class Relay:
    """One connection's way. The browser is told this address instead of the server's.

    ``line`` may be another one at any time. :meth:`rebind`, as a router does that has forgotten the connection: from
    then on the server sees the browser's packets come from another port.
    """

    def __init__(self, loss: float, jitter_s: float, seed: int = 1) -> None:
        self.line, self._dice = Line(loss, jitter_s), random.Random(seed)
        self._stopping, self._rebinds = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._server: tuple[str, int] | None = None
        self._browser: tuple[str, int] | None = None
        self._free_s = {True: 0.0, False: 0.0}  # when the line has sent what it has, to the server and from it
        self.counts = {"sent": 0, "lost": 0}

    def rebind(self) -> None:
        """From any thread."""
        self._rebinds.set()

    def redirect(self, answer: str) -> str:
        """The server's answer with this way as its only candidate. Starts it."""
        found = FIELDS.search(answer)
        assert found is not None, answer
        self._server = found[1], int(found[2])
        self._outer, self._inner = _socket(found[1]), _socket(found[1])
        self._thread.start()
        host, port = self._outer.getsockname()
        line = f"a=candidate:1 1 udp 2130706431 {host} {port} typ host\r\n"
        first, *rest = CANDIDATE.split(answer)
        return first + line + "".join(rest)

    def close(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        waiting: list[tuple[float, bytes, bool]] = []
        with selectors.DefaultSelector() as ready:
            for each in (self._outer, self._inner):
                ready.register(each, selectors.EVENT_READ)
            while not self._stopping.is_set():
                if self._rebinds.is_set():
                    self._renew(ready)
                until_s = waiting[0][0] - time.monotonic() if waiting else 0.1
                for key, _ in ready.select(max(0.0, min(until_s, 0.1))):
                    self._take(waiting, key.fileobj is self._outer)
                while waiting and waiting[0][0] <= time.monotonic():
                    _, data, to_server = heapq.heappop(waiting)
                    self._pass(data, to_server)
        self._outer.close()
        self._inner.close()

    def _renew(self, ready: selectors.BaseSelector) -> None:
        self._rebinds.clear()
        ready.unregister(self._inner)
        host = self._inner.getsockname()[0]
        self._inner.close()
        self._inner = _socket(host)
        ready.register(self._inner, selectors.EVENT_READ)

    def _take(self, waiting: list[tuple[float, bytes, bool]], from_browser: bool) -> None:
        data, sender = (self._outer if from_browser else self._inner).recvfrom(SIZE)
        if from_browser:
            self._browser = sender
        line = self.line
        for _ in range(1 + (self._dice.random() < line.twice)):
            self.counts["sent"] += 1
            leaves_s = self._leaves_s(line, len(data), from_browser)
            if leaves_s is None or self._dice.random() < line.loss:
                self.counts["lost"] += 1
            else:
                heapq.heappush(waiting, (leaves_s + self._dice.uniform(0, line.jitter_s), data, from_browser))

    def _leaves_s(self, line: Line, size: int, to_server: bool) -> float | None:
        """When the line has sent it; None where too much waits already."""
        now_s = time.monotonic()
        if not line.bits_per_s:
            return now_s
        begins_s = max(now_s, self._free_s[to_server])
        if begins_s - now_s > line.queue_s:
            return None
        self._free_s[to_server] = begins_s + 8 * size / line.bits_per_s
        return self._free_s[to_server]

    def _pass(self, data: bytes, to_server: bool) -> None:
        to = self._server if to_server else self._browser
        if to is not None:
            (self._inner if to_server else self._outer).sendto(data, to)


def without_candidates(offer: str) -> str:
    """So that the server has no other way to the browser than the one it is called from."""
    return CANDIDATE.sub("", offer).replace(END, "")  # said of none, there would be none in the answer either


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made
