"""What is known of people goes over by way of Redis: a real one, which is full, hangs, goes away and comes back."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from patience import PATIENCE_S
from test_leases import FakeSession, goes_over, leases, somebody

from realtime_dub.errors import ConfigError
from realtime_dub.web.store import RedisStore, store_of

# Debian's redis-tools holds the server under another name, and starts no service.
SERVER = shutil.which("redis-server") or shutil.which("redis-check-rdb")
pytest.importorskip("redis", reason="the extra fleet is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(SERVER is None, reason="redis-server is not installed")]

MB = 1_000_000
MOST_MB = 8  # that it may hold
WAITED_S = 2.0  # for an answer (RedisStore), and what a busy machine adds
LATE_S = 3.0


class Redis:
    """A server of the test's own, on loopback, which keeps nothing on the disk."""

    def __init__(self, folder: Path, password: str = "") -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._folder, self._password = folder, password
        self.start()

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = {"port": self.port, "bind": "127.0.0.1", "dir": self._folder, "save": "", "appendonly": "no",
                   "maxmemory": f"{MOST_MB}mb", "maxmemory-policy": "noeviction"}  # fmt: skip
        if self._password:
            options["requirepass"] = self._password
        assert SERVER is not None
        words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        self._process = subprocess.Popen(["redis-server", *words], executable=SERVER, stdout=subprocess.DEVNULL)
        end_s = time.monotonic() + PATIENCE_S
        while not self._answers():
            assert time.monotonic() < end_s
            time.sleep(0.02)

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self._process.kill()
        self._process.wait()

    def count(self) -> int:
        """Of what is kept there. Blocking."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as asking:
            asking.sendall(b"DBSIZE\r\n")
            return int(asking.recv(99)[1:])

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as asking:
                asking.sendall(b"PING\r\n")
                return asking.recv(99)[:1] in (b"+", b"-")
        except OSError:
            return False


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    started = Redis(tmp_path)
    yield started
    started.stop()


def store(redis: Redis) -> RedisStore:
    return RedisStore.at(redis.url)


def test_what_is_put_there_is_there_for_its_time_and_for_who_has_its_name(redis: Redis) -> None:
    ours, others = store(redis), store(redis)
    ours.put("0-session", b"bank", 60)
    assert others.get("0-session") == b"bank"
    assert others.get("0-sessio") is None
    ours.put("0-session", b"newer", 0.2)
    assert others.get("0-session") == b"newer"
    time.sleep(0.4)
    assert others.get("0-session") is None
    ours.put("0-session", b"bank", 60)
    others.drop("0-session")
    others.drop("0-session")
    assert ours.get("0-session") is None


def test_a_bank_goes_over_by_way_of_it(redis: Redis) -> None:
    after = FakeSession("1-after")
    assert asyncio.run(goes_over(store(redis), FakeSession("0-before", somebody(0.123)), after))
    assert after.used.wide == pytest.approx(0.123)


def test_it_goes_away_and_comes_back(redis: Redis) -> None:
    """Sessions go on; what is kept after its return is there for the next one, and no worker is started anew."""
    one, other, after = store(redis), store(redis), FakeSession("1-after")

    async def go() -> None:
        before = FakeSession("0-before", somebody(0.123))
        await leases(one, before).keep(before)
        redis.stop()
        began_s = time.monotonic()
        await leases(one, before).keep(before)  # is told in the log, and no more
        assert not await leases(other, after).take_over("0-before", after)
        await leases(other, after).forget("0-before")
        assert time.monotonic() - began_s < 3 * LATE_S
        await asyncio.to_thread(redis.start)
        assert not await leases(other, after).take_over("0-before", after)  # it forgot
        await leases(one, before).keep(before)
        assert await leases(other, after).take_over("0-before", after)
        assert after.used.wide == pytest.approx(0.123)

    asyncio.run(go())


def test_who_asks_one_that_hangs_waits_no_longer_than_said(redis: Redis) -> None:
    ours = store(redis)
    ours.put("0-session", b"bank", 60)
    redis.send(signal.SIGSTOP)
    for ask in (lambda: ours.get("0-session"), lambda: ours.drop("0-session")):
        began_s = time.monotonic()
        assert ask() is None
        assert WAITED_S * 0.9 < time.monotonic() - began_s < WAITED_S + LATE_S
    with pytest.raises(OSError, match="does not answer"):
        ours.put("0-session", b"newer", 60)
    redis.send(signal.SIGCONT)
    end_s = time.monotonic() + PATIENCE_S
    while (found := ours.get("0-session")) is None and time.monotonic() < end_s:
        time.sleep(0.05)
    assert found in (b"bank", b"newer", None)
    ours.put("0-session", b"newest", 60)
    assert ours.get("0-session") == b"newest"


def test_a_full_one_says_so_and_forgets_nobody(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    ours = store(redis)
    ours.put("0-before", b"bank", 60)
    for size in (MB, MB // 10, MB // 100, MB // 1_000):  # until there is no room for the least
        with pytest.raises(OSError, match="is full"):  # noqa: PT012
            for k in range(10_000):  # Redis counts what it keeps for its clients, too: now more, now less
                ours.put(f"0-{size}-{k}", bytes(size), 60)
    assert ours.get("0-before") == b"bank"
    before = FakeSession("0-next", somebody())
    asyncio.run(leases(ours, before).keep(before))
    assert [each.why for each in caplog.records] == ["the store is full"]
    for k in range(2 * MOST_MB):
        ours.drop(f"0-{MB}-{k}")
    ours.put("0-next", bytes(MB), 60)


def test_one_that_wants_another_password_is_told_without_it(tmp_path: Path) -> None:
    locked = Redis(tmp_path, "a-long-secret")
    try:
        store(locked).put("0-session", b"bank", 60)
        wrong = f"redis://:another-secret@127.0.0.1:{locked.port}/0"
        with pytest.raises(ConfigError) as caught:
            store_of(wrong, tmp_path)
        assert "secret" not in str(caught.value)
    finally:
        locked.stop()
    with pytest.raises(ConfigError, match=r"cannot use the store .*start it, or leave --redis out"):
        store_of(locked.url, tmp_path)
