"""A small store that outlives a process: what a visitor's next session takes over from one whose process was killed.

A file for each key in a folder that all processes see, or Redis. What lies there runs out by itself. Keys are hashed:
they are names of sessions, and whoever could read one of these could end it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import time
from pathlib import Path
from typing import Any, Protocol

from realtime_dub.errors import ConfigError, DependencyError

ADVICE = "start it, or leave --redis out: a folder that all nodes see does as well"


class Store(Protocol):
    """Blocking. Nothing is ever raised for a key that is not there."""

    def put(self, key: str, data: bytes, lasts_s: float) -> None:
        """In place of what was there. Raises OSError where it cannot be kept."""

    def get(self, key: str) -> bytes | None:
        """None where it is not there, or has run out."""

    def drop(self, key: str) -> None:
        """Idempotent."""

    def sweep(self) -> None:
        """Remove what has run out, where the store does not do so by itself."""


class FileStore:
    """In a private folder. A file's time of change is when it runs out."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def put(self, key: str, data: bytes, lasts_s: float) -> None:
        new = self._folder / f".{secrets.token_hex(8)}"
        try:
            new.touch(mode=0o600)
            new.write_bytes(data)
            until_s = time.time() + lasts_s
            os.utime(new, (until_s, until_s))
            new.replace(self._path(key))  # whole, or not at all: who is killed here leaves no half of it
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def get(self, key: str) -> bytes | None:
        path = self._path(key)
        with contextlib.suppress(OSError):
            if path.stat().st_mtime > time.time():
                return path.read_bytes()
        return None

    def drop(self, key: str) -> None:
        self._path(key).unlink(missing_ok=True)

    def sweep(self) -> None:
        """What is half written is as old as it is; nobody writes for a minute."""
        now_s = time.time()
        with contextlib.suppress(OSError), os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    late_s = 60.0 if entry.name.startswith(".") else 0.0
                    if entry.stat(follow_symlinks=False).st_mtime + late_s < now_s:
                        os.unlink(entry.path)

    def _path(self, key: str) -> Path:
        return self._folder / _hashed(key)


class RedisStore:
    """``client``: one of ``redis``. Its errors become OSError: a visitor who loses a bank is no fault of ours."""

    PREFIX = "realtime-dub:"

    def __init__(self, client: Any, errors: Any) -> None:
        """``errors``: the module ``redis.exceptions``."""
        self._client, self._errors = client, errors

    @classmethod
    def at(cls, url: str) -> RedisStore:
        """Raises DependencyError without the library, ConfigError where nobody answers."""
        try:
            import redis
        except ImportError as error:
            raise DependencyError("--redis needs", "redis", "pip install 'realtime-dub[fleet]'") from error
        try:
            client = redis.Redis.from_url(url, socket_timeout=2.0, socket_connect_timeout=2.0)
            client.ping()
        except (redis.RedisError, ValueError) as error:
            where = url.rpartition("@")[2]  # without its password
            raise ConfigError("cannot use the store", f"{where}: {type(error).__name__}", ADVICE) from error
        return cls(client, redis.exceptions)

    def put(self, key: str, data: bytes, lasts_s: float) -> None:
        try:
            self._client.set(self._name(key), data, px=max(1, round(1000 * lasts_s)))
        except self._errors.RedisError as error:
            raise OSError(f"the store {self._why(error)}") from error

    def get(self, key: str) -> bytes | None:
        try:
            found = self._client.get(self._name(key))
        except self._errors.RedisError:
            return None
        return None if found is None else bytes(found)

    def drop(self, key: str) -> None:
        with contextlib.suppress(self._errors.RedisError):
            self._client.delete(self._name(key))

    def sweep(self) -> None:
        """Redis does it."""

    def _why(self, error: Exception) -> str:
        if isinstance(error, self._errors.OutOfMemoryError):
            return "is full"
        if isinstance(error, (self._errors.ConnectionError, self._errors.TimeoutError)):
            return "does not answer"
        return f"refuses ({type(error).__name__})"

    def _name(self, key: str) -> str:
        return self.PREFIX + _hashed(key)


def store_of(redis_url: str | None, folder: Path) -> Store:
    """Blocking. Raises DependencyError, ConfigError."""
    return RedisStore.at(redis_url) if redis_url else FileStore(folder)


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
