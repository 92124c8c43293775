"""espeak-ng reads lines into a room, as its interpreter, with captions:
``python examples/espeak_interpreter.py http://127.0.0.1:8080 hall es < lines.txt``.

The token of an interpreter's link, where the server has one, is taken from REALTIME_DUB_TOKEN. Each line is spoken when
it comes, so that a program may write them: ``translator | python examples/espeak_interpreter.py ...``.
"""

import asyncio
import io
import os
import sys
import wave

import aiohttp

RATE = 22_050  # espeak-ng's


async def spoken(line: str, language: str) -> bytes:
    """16-bit samples, mono."""
    command = ("espeak-ng", "-v", language or "en", "--stdin", "--stdout")
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
    sound, _ = await process.communicate(line.encode())
    with wave.open(io.BytesIO(sound)) as file:
        return file.readframes(file.getnframes())


async def interpret(server: str, room: str, language: str) -> None:
    token = os.environ.get("REALTIME_DUB_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    query = {"rate": str(RATE)} | ({"channel": language} if language else {})
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.ws_connect(f"{server}/voices/{room}", params=query) as socket,
    ):
        listening = asyncio.create_task(listen(socket))
        while (line := await asyncio.to_thread(sys.stdin.readline)) and not socket.closed:
            if line.strip():
                sound = await spoken(line, language)
                await socket.send_json({"type": "session.output_transcript.delta", "delta": f"{line.strip()}\n"})
                await socket.send_bytes(sound)
        await socket.close()  # the room says the rest
        await listening


async def listen(socket: aiohttp.ClientWebSocketResponse) -> None:
    """What goes wrong is said; of the room, whether we are on air."""
    on_air = None
    async for message in socket:
        told = message.json()
        if told["type"] == "error":
            print(told["error"]["message"], file=sys.stderr)
        elif told["type"] == "room" and told["room"]["floor"] != on_air:
            on_air = told["room"]["floor"]
            print("on air" if on_air == "you" else "waiting", file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(interpret(*sys.argv[1:3], sys.argv[3] if len(sys.argv) > 3 else ""))
