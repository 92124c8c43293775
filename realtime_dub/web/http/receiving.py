"""One file out of a form that a page sends, onto the disk: whatever the form is, and whenever the sender leaves."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from typing import Any, Protocol, TypeVar

from aiohttp import BodyPartReader, MultipartReader, web

from realtime_dub.paths import write_all
from realtime_dub.web.limits import UPLOAD_LONGEST_S, UPLOAD_STALL_S
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.said import said
from realtime_dub.web.studio.uploads import Arrival

CHUNK = 256 * 1024
BAD_FORM = "The form cannot be read.", "Send one file as multipart/form-data."
MOST_LINES = 16  # of a form, around its parts: what lies before the first is read line by line, on the event loop
SLOW = "The file came too slowly.", "Send it again, or a smaller one."

Kept = TypeVar("Kept", covariant=True)


class Inbox(Protocol[Kept]):
    """What takes files. All but ``begin`` is blocking, and all may raise Refusal."""

    @property
    def most_bytes(self) -> int: ...

    @property
    def pool(self) -> Executor: ...

    def begin(self, name: str, visitor: str, task: asyncio.Task[Any] | None, use: str | None) -> Arrival: ...

    def keep(self, arrival: Arrival, used: Any) -> Kept: ...

    def drop(self, arrival: Arrival) -> None: ...


async def receive(request: web.Request, uploads: Inbox[Kept], used: Any, use: str | None = None) -> Kept:
    """The file, looked at; ``used()`` names the uploads that sessions use. Raises Refusal, and then nothing is left."""
    if not request.content_type.startswith("multipart/"):
        raise Refusal(415, "The upload is not a form.", "Send the file as multipart/form-data.")
    arrival: Arrival | None = None
    try:
        async with asyncio.timeout(UPLOAD_LONGEST_S):
            reader, file = await _first_part(request)
            arrival = uploads.begin(file.filename or "", request.remote or "", asyncio.current_task(), use)
            await _store(file, arrival, uploads.most_bytes)
            await _check_over(reader)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(uploads.pool, uploads.keep, arrival, used())
    except TimeoutError:
        raise Refusal(408, *SLOW) from None
    except asyncio.CancelledError:
        if arrival is not None and arrival.given_up and (task := asyncio.current_task()) and task.uncancel() == 0:
            raise Refusal(408, *SLOW) from None
        raise
    finally:
        if arrival is not None:
            await asyncio.shield(asyncio.to_thread(uploads.drop, arrival))


class _Form(MultipartReader):
    _lines = 0

    async def _readline(self) -> bytes:
        self._lines += 1
        if self._lines > MOST_LINES:
            raise ValueError("too much around the parts")
        line: bytes = await super()._readline()
        return line


async def _first_part(request: web.Request) -> tuple[Any, BodyPartReader]:
    try:
        async with asyncio.timeout(UPLOAD_STALL_S):
            reader = _Form(request.headers, request.content)
            part = await reader.next()
    except (Refusal, TimeoutError):
        raise
    except Exception as error:  # text from outside leads aiohttp's parser to errors of many kinds
        raise Refusal(400, *BAD_FORM) from error
    if not isinstance(part, BodyPartReader) or not part.filename:
        raise Refusal(400, "The form has no file.", "Send one file.")
    return reader, part


async def _store(part: BodyPartReader, arrival: Arrival, most: int) -> None:
    file = await asyncio.to_thread(open, arrival.path, "xb", 0)
    try:
        while chunk := await _chunk(part):
            arrival.size += len(chunk)
            if arrival.size > most:
                raise Refusal(
                    413, said("The file is larger than {mb} MB.", mb=most // 1_000_000), "Send a smaller one."
                )
            await asyncio.to_thread(_write, file, chunk)
    finally:
        await asyncio.to_thread(file.close)
    if not arrival.size:
        raise Refusal(422, "The file is empty.", "Choose another one.")


def _write(file: Any, chunk: bytes) -> None:
    try:
        write_all(file.fileno(), chunk)
    except OSError as error:
        raise Refusal(507, "The server has no room for the file.", "Tell the person who runs the server.") from error


async def _chunk(part: BodyPartReader) -> bytes:
    try:
        async with asyncio.timeout(UPLOAD_STALL_S):
            return await part.read_chunk(CHUNK)
    except TimeoutError:
        raise
    except Exception as error:  # cut short, or no form at all
        raise Refusal(400, *BAD_FORM) from error


async def _check_over(reader: Any) -> None:
    """Nothing comes after the file."""
    try:
        async with asyncio.timeout(UPLOAD_STALL_S):
            more = await reader.next()
    except TimeoutError:
        raise
    except Exception as error:
        raise Refusal(400, *BAD_FORM) from error
    if more is not None:
        raise Refusal(400, "The form has more than one file.", "Send one file.")
