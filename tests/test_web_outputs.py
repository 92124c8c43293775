"""A channel into a file or to a media server: what viewers see, and only to hosts that the server allows."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import numpy as np
import pytest
from aiohttp import ClientSession, web
from pydantic import ValidationError
from test_web_channels import Somebody
from yarl import URL

from realtime_dub.clock import VirtualClock
from realtime_dub.errors import MediaError
from realtime_dub.i420 import image_of
from realtime_dub.media import MS, NS, AudioBlock, Tick
from realtime_dub.web.config import ServeConfig
from realtime_dub.web.limits import MOST_OUTPUTS, OUTPUT_ALONE_S
from realtime_dub.web.publish.whip_client import WhipClient
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.rtc.output_timeline import OutputTimeline
from realtime_dub.web.studio import outputs as outputs_module
from realtime_dub.web.studio.outputs import LAG_NS, Output, Outputs, allowed
from realtime_dub.web.studio.recordings import Recordings
from realtime_dub.web.studio.room import Rooms, Shown

pytestmark = pytest.mark.computes

HOSTS = ("media.example", "other.example:1935")


@pytest.mark.parametrize(
    "to", ["whips://media.example/live/whip?token=secret", "rtmp://OTHER.example:1935/app/key", "srt://media.example:9"]
)
def test_hosts_that_the_server_was_given_are_taken(to: str) -> None:
    assert allowed(to, HOSTS).host in ("media.example", "other.example")


@pytest.mark.parametrize(
    "to",
    [
        *("http://media.example/", "file:///etc/passwd", "out.mp4", "/tmp/out.mp4", "udp://media.example:9", "whip:9"),
        *("rtmp://media.example/app swfVfy=1", "whip://user@media.example/", "rtmp://media.example@evil.example/app"),
        *("whip:///path", "rtmp://media.example/\n", "whip://[::1", "rtmp://media.example:x/app", "window", "vcam"),
    ],
)
def test_what_is_no_address_of_a_media_server_is_refused(to: str) -> None:
    with pytest.raises(Refusal) as refused:
        allowed(to, HOSTS)
    assert refused.value.status in (403, 422)


@pytest.mark.parametrize(
    "to",
    [
        *(
            "whip://127.0.0.1/x",
            "rtmp://169.254.169.254/x",
            "rtmp://other.example/app",
            "rtmp://other.example:1936/app",
        ),
        *("whips://sub.media.example/", "whips://media.example.evil/", "whip://[::1]/x", "rtmp://localhost/app"),
    ],
)
def test_other_hosts_are_refused_by_name_alone(to: str) -> None:
    with pytest.raises(Refusal) as refused:
        allowed(to, HOSTS)
    assert refused.value.status == 403
    assert "push" in str(refused.value)


def test_what_the_server_may_be_given() -> None:
    assert ServeConfig(push_to=("Media.Example", "a.b:99")).push_to == ("media.example", "a.b:99")
    for wrong in ("rtmp://a.b", "a.b/c", "user@a.b", ""):
        with pytest.raises(ValidationError):
            ServeConfig(push_to=(wrong,))


class Kept:
    """A publisher that keeps what it is given."""

    name, policy, latency_ns = "kept", "every", 0

    def __init__(self) -> None:
        self.ticks: list[Tick] = []
        self.closed = False

    def open(self, fmt: object) -> None: ...

    def publish(self, tick: Tick) -> None:
        self.ticks.append(tick)

    def close(self) -> None:
        self.closed = True


def shows(timeline: OutputTimeline, shade: int, level: float, seconds: float) -> None:
    """All at once: frames of 40 ms and their audio."""
    for number in range(round(seconds * 25)):
        timeline.ring.write(AudioBlock(np.full((1920, 1), level, np.float32), 48_000, number * 40 * MS))
        for reader in timeline._readers:
            reader.put(np.full((96, 64), shade, np.uint8), number * 40 * MS)


def test_an_output_has_what_is_shown_and_goes_over_to_another_timeline_without_a_hole() -> None:
    async def test() -> None:
        clock, kept = VirtualClock(), Kept()
        floor, dub = (OutputTimeline(clock, asyncio.get_running_loop()) for _ in range(2))
        for each in (floor, dub):
            each.begin_at(0)
        at = floor
        output = Output(kept, lambda: Shown(at, at, dubbed=at is dub), clock, 25)  # type: ignore[arg-type]
        running = asyncio.create_task(output.run())
        await clock.run_until(60 * MS)
        shows(floor, 60, 0.25, 1.9)
        await pushed(clock, LAG_NS + NS)
        at = dub
        await pushed(clock, LAG_NS + NS + 80 * MS)
        shows(dub, 180, 0.5, 1.9)
        await pushed(clock, LAG_NS + 3 * NS // 2)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await asyncio.to_thread(output.close)
        shades = [int(each.image.mean()) for each in kept.ticks]
        assert shades[0] < 60 < 180 < shades[-1]  # full range
        assert sorted(shades) == shades
        assert [each.seq for each in kept.ticks] == list(range(len(kept.ticks)))
        heard = np.concatenate([each.audio.samples for each in kept.ticks if each.audio is not None])[:, 0]
        assert len(heard) == len(kept.ticks) * 1920
        assert {0.25, 0.5} <= {float(each) for each in np.unique(heard)}
        assert kept.closed
        assert floor.watched == dub.watched == 0

    asyncio.run(test())


async def pushed(clock: VirtualClock, until_ns: int) -> None:
    """Step by step, as frames are converted on another thread."""
    while clock.now_ns() < until_ns:
        await clock.run_until(clock.now_ns() + 40 * MS)
        await asyncio.sleep(0.01)


def test_a_channel_is_recorded_into_a_film_that_the_room_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings, films = Recordings(tmp_path), []

    async def test() -> None:
        clock = VirtualClock()
        sessions: dict[str, Somebody] = {}
        rooms = Rooms(clock, sessions)  # type: ignore[arg-type]
        outputs = Outputs(ServeConfig(fps=25), rooms, recordings, clock)
        room = rooms.enter("hall")
        sender = sessions["sender"] = Somebody(room, "sender", languages=("es",))
        room.original.timeline.begin_at(0)
        begun = await outputs.begin("hall", "es", "file")
        assert (begun["to"], begun["state"]) == ("file", "waiting")
        await clock.run_until(60 * MS)
        shows(room.original.timeline, 99, 0.25, 1.5)
        await pushed(clock, LAG_NS + NS)
        (told,) = outputs.of("hall")
        assert told["state"] == "on"
        assert told["seconds"] > 0.5
        with pytest.raises(Refusal):
            await outputs.end("attic", told["number"])
        room.leave(sender)  # type: ignore[arg-type]
        await outputs.sweep()
        assert outputs.of("hall") != []
        monkeypatch.setattr(outputs_module.time, "monotonic", lambda: 1e9 + OUTPUT_ALONE_S)
        (begun_one,) = outputs._begun.values()
        begun_one.alone_s = 1e9 - 1
        await outputs.sweep()
        assert outputs.of("hall") == []
        assert not room.watching
        (film,) = recordings.of_room("hall")
        assert film["seconds"] == told["seconds"]
        films.append(recordings.find(str(film["id"])))
        await outputs.close()

    asyncio.run(test())
    with av.open(str(films[0])) as opened:
        frames = [frame.to_ndarray(format="bgr24") for frame in opened.decode(video=0)]
    assert len(frames) >= 10
    assert frames[-1].mean() == pytest.approx(image_of(np.full((96, 64), 99, np.uint8)).mean(), abs=4)


def test_there_are_not_more_than_a_few_and_no_address_shows_its_key(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)

    async def test() -> None:
        rooms = Rooms(VirtualClock(), {})
        outputs = Outputs(ServeConfig(push_to=HOSTS), rooms, recordings, rooms._clock)
        for _ in range(MOST_OUTPUTS):
            begun = await outputs.begin("hall", "", "rtmp://media.example/app/very-secret")
        assert begun["to"] == "rtmp://media.example"
        with pytest.raises(Refusal) as refused:
            await outputs.begin("hall", "", "file")
        assert refused.value.status == 503
        await outputs.close()

    asyncio.run(test())


def test_a_media_server_cannot_lead_a_push_elsewhere() -> None:
    async def test() -> None:
        asked: list[str] = []

        async def answer(request: web.Request) -> web.Response:
            asked.append(request.method)
            return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/inside"})

        app = web.Application()
        app.router.add_route("*", "/whip", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with ClientSession() as http:
            client = WhipClient(URL(f"http://127.0.0.1:{port}/whip"), None, "whip://media", http, False)
            with pytest.raises(MediaError, match="redirects to another server"):
                await client.offer("v=0")
            await client.goodbye(URL("http://127.0.0.1:9/inside"))
        assert asked == ["POST"]
        await runner.cleanup()

    asyncio.run(test())
