"""A bad network between a browser and the server: packets over UDP are lost, late and out of order, both ways."""

from __future__ import annotations

import heapq
import random
import re
import selectors
import socket
import threading
import time

CANDIDATE = re.compile(r"^a=candidate:.*\r\n", re.MULTILINE)
FIELDS = re.compile(r"^a=candidate:\S+ \d+ udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", re.MULTILINE)
SIZE = 2_048


class Relay:
    """One connection's way. The browser is told this address instead of the server's."""

    def __init__(self, loss: float, jitter_s: float, seed: int = 1) -> None:
        self._loss, self._jitter_s, self._dice = loss, jitter_s, random.Random(seed)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay")
        self._server: tuple[str, int] | None = None
        self._browser: tuple[str, int] | None = None
        self.counts = {"sent": 0, "lost": 0}

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
        with selectors.DefaultSelector() as ready, self._outer, self._inner:
            for each in (self._outer, self._inner):
                ready.register(each, selectors.EVENT_READ)
            while not self._stopping.is_set():
                until_s = waiting[0][0] - time.monotonic() if waiting else 0.1
                for key, _ in ready.select(max(0.0, until_s)):
                    self._take(waiting, key.fileobj is self._outer)
                while waiting and waiting[0][0] <= time.monotonic():
                    _, data, to_server = heapq.heappop(waiting)
                    self._pass(data, to_server)

    def _take(self, waiting: list[tuple[float, bytes, bool]], from_browser: bool) -> None:
        data, sender = (self._outer if from_browser else self._inner).recvfrom(SIZE)
        if from_browser:
            self._browser = sender
        self.counts["sent"] += 1
        if self._dice.random() < self._loss:
            self.counts["lost"] += 1
        else:
            heapq.heappush(waiting, (time.monotonic() + self._dice.uniform(0, self._jitter_s), data, from_browser))

    def _pass(self, data: bytes, to_server: bool) -> None:
        to = self._server if to_server else self._browser
        if to is not None:
            (self._inner if to_server else self._outer).sendto(data, to)


def without_candidates(offer: str) -> str:
    """So that the server has no other way to the browser than the one it is called from."""
    return CANDIDATE.sub("", offer)


def _socket(host: str) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host, 0))
    return made
