"""Browsers begin with small pictures and grow: what comes back has the size of what is sent, a recording has one."""

from __future__ import annotations

import asyncio
import itertools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from heif_files import heic
from hostile_peers import CodedTrack, claiming, coded
from test_video_kinds import coded as still
from test_video_kinds import corners
from test_web_safety import ask
from test_web_sessions import visiting
from web_peers import HEADERS, FaceTrack, Visitor, serving

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS
from realtime_dub.sources.registry import open_video
from realtime_dub.web.limits import WAITING_BYTES
from realtime_dub.web.rtc.browser_input import PIXEL_BYTES, BrowserInput
from realtime_dub.web.rtc.browser_sources import BrowserVideo
from realtime_dub.web.studio.uploads import Uploads

SIZES = ((320, 180), (640, 360), (1280, 720), (1280, 720), (321, 181), (320, 180))


def test_pictures_have_the_size_that_is_sent_and_a_change_is_a_scene() -> None:
    clock = VirtualClock()
    browser_input = BrowserInput(clock)
    begun = []
    browser_input.on_size = lambda: begun.append(browser_input.size)
    source, sizes, scenes = BrowserVideo(browser_input, Fraction(25)), [], []
    for k, (width, height) in enumerate(SIZES):
        clock.advance_to(k * 40 * MS)
        frame = av.VideoFrame.from_ndarray(np.full((height, width, 3), 10 * k, np.uint8)).reformat(format="yuv420p")
        frame.pts, frame.time_base = k * 3600, Fraction(1, 90_000)
        if k == 0:
            browser_input.add_frame(frame)
            info = source.open()
        browser_input.add_frame(frame)
        got = source.read()
        sizes.append((got.width, got.height))
        scenes.append(got.scene)
        assert got.image.flags.c_contiguous
    source.close()
    assert (info.width, info.height) == SIZES[0]
    assert begun == [SIZES[0]]
    assert sizes == [(320, 180), (640, 360), (1280, 720), (1280, 720), (320, 180), (320, 180)]
    assert scenes == [0, 1, 2, 2, 3, 4]
    assert browser_input.size == SIZES[-1]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("IMG_1.HEIC", heic([corners(96, 128)], turns=((b"irot", 1),))),
        ("me.avif", still(corners(96, 128), "AVIF", quality=95)),
        ("me.gif", still(corners(96, 128), "PNG")),
    ],
)
def test_a_photograph_of_any_kind_can_be_sent(name: str, data: bytes, tmp_path: Path) -> None:
    uploads = Uploads(1 << 20, tmp_path)
    try:
        arrival = uploads.begin(name)
        arrival.path.write_bytes(data)
        upload = uploads.keep(arrival)
        source = open_video(str(uploads.find(upload.id, "picture")), clock=VirtualClock(), live=False)
        source.open()
        image = source.read().image
        source.close()
    finally:
        uploads.close()
    expected = np.rot90(corners(96, 128)) if "HEIC" in name else corners(96, 128)
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).mean() < 6


class GrowingTrack(FaceTrack):
    """The portrait, in a size that can be chosen at any time."""

    def __init__(self) -> None:
        super().__init__()
        self.faces = {height: FaceTrack(height) for height in (120, 240, 360)}
        self.height = 120

    async def recv(self) -> av.VideoFrame:
        face = self.faces[self.height]
        self._dark, self._bright = face._dark, face._bright
        return await super().recv()


def test_what_is_too_large_is_told_and_counted_and_what_is_large_comes_back_smaller() -> None:
    async def test() -> None:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            track = CodedTrack([coded(1_920, 1_080)[0], claiming(16_383, 16_383), claiming(4_096, 4_096)], fps=10)
            next(each for each in visitor.pc.getSenders() if each.kind == "video").replaceTrack(track)
            await visitor.connect(engine="passthrough")
            pictures, stats = visitor.got.pictures, visitor.got.stats
            await visitor.until(lambda: len(pictures) > 2 and stats and stats[-1]["dropped"])
            assert {image.shape[:2] for _, _, image in pictures} == {(720, 1_280)}
            await visitor.until(lambda: any("too large" in told.get("note", "") for told in stats))
            _, metrics, _ = await ask(http, "GET", f"{url}/metrics")
            counted = next(line for line in metrics.decode().splitlines() if 'dropped_total{kind="too large"}' in line)
            assert float(counted.split()[-1]) >= 2
            assert await visitor.delete() == 204

    asyncio.run(test())


def test_pictures_that_wait_longer_are_smaller() -> None:
    browser_input, most = BrowserInput(VirtualClock()), 1_280 * 720
    for budget_ms, pixels in ((250, most), (1_000, most), (5_000, 640 * 480)):
        browser_input.wait(budget_ms * MS, 25, most)
        assert pixels <= browser_input.most_pixels() <= most
        assert browser_input.most_pixels() * PIXEL_BYTES * budget_ms * 25 / 1000 <= WAITING_BYTES
    frame = av.VideoFrame(1_280, 720, "yuv420p")  # the size is that of the pictures to come
    frame.pts, frame.time_base = 0, Fraction(1, 90_000)
    browser_input.add_frame(frame)
    source = BrowserVideo(browser_input, Fraction(25))
    info = source.open()
    source.close()
    assert info.width * info.height <= browser_input.most_pixels()


@pytest.mark.slow
def test_what_comes_back_grows_and_shrinks_with_what_is_sent(tmp_path: Path) -> None:
    async def test() -> tuple[list[tuple[int, int]], bytes]:
        async with serving() as (_, http, url), visiting(Visitor(http, url)) as visitor:
            track = GrowingTrack()
            next(each for each in visitor.pc.getSenders() if each.kind == "video").replaceTrack(track)
            await visitor.connect(budget_ms=600)
            pictures = visitor.got.pictures
            await visitor.until(lambda: len(pictures) > 10)
            at = f"{url}/api/sessions/{visitor.id}/recording"
            await ask(http, "POST", at, json={"action": "start"}, headers=HEADERS)
            for height in (240, 360, 120):
                track.height = height
                await visitor.until(lambda height=height: pictures[-1][2].shape[0] == height)
                count = len(pictures)
                await visitor.until(lambda count=count: len(pictures) > count + 10)
            _, told, _ = await ask(http, "POST", at, json={"action": "stop"}, headers=HEADERS)
            _, film, _ = await ask(http, "GET", url + told["url"])
            assert await visitor.delete() == 204
            return [image.shape[:2] for _, _, image in pictures], film

    sizes, film = asyncio.run(test())
    assert [size[0] for size, _ in itertools.groupby(sizes)] == [120, 240, 360, 120]
    (tmp_path / "film.mp4").write_bytes(film)
    with av.open(str(tmp_path / "film.mp4")) as container:
        images = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
    assert {image.shape[:2] for image in images} == {sizes[0]}
    assert len(images) > 30
    portrait = images[0].astype(int)
    assert np.median([np.abs(image.astype(int) - portrait).mean() for image in images]) < 25  # of another picture: 70
