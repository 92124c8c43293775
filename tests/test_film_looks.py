"""How much of a film an engine is shown: its beginning, and of a long one that it learns from pieces of the rest."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from films import number, numbered, write_film

from realtime_dub.clock import VirtualClock
from realtime_dub.media import MS, NS, Frame, Samples
from realtime_dub.mouth.contract import VOICE_RATE
from realtime_dub.pipeline.file.looks import Looks, pieces_of
from realtime_dub.pipeline.file.own_voice import film_voice
from realtime_dub.sources.registry import open_video
from realtime_dub.sources.video_file import VideoFileSource

SECONDS, FPS = 275, 2  # a key frame every 250 frames: at 0, 125 and 250 s


@pytest.fixture(name="film", scope="module")
def write(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("films") / "long.mp4"
    return write_film(path, range(0, SECONDS * 1000, 1000 // FPS), numbered(64, 48))


def looked_at(film: Path, learns: bool, cut_ns: int | None = None) -> tuple[Looks, list[Frame]]:
    opened = []

    def once_more() -> VideoFileSource:
        video = open_video(str(film), clock=VirtualClock(), live=False)
        assert isinstance(video, VideoFileSource)
        opened.append(video)
        return video

    video = once_more()
    looks = Looks.of(video.open(), learns, cut_ns)
    frames = list(looks.frames(video, once_more))
    video.close()
    assert all(each._container is None for each in opened)
    return looks, frames


@pytest.mark.parametrize("learns", [False, True])
def test_a_short_film_is_looked_at_from_its_beginning_alone(film: Path, learns: bool) -> None:
    looks, frames = looked_at(film, learns, cut_ns=159 * NS)
    assert not looks.pieces
    assert not looks.tunes
    ends_s = 60 if learns else 20
    assert frames[-1].pts_ns == pytest.approx(ends_s * NS, abs=NS)
    assert sum(map(looks.at, frames)) == 20 * FPS
    assert len(frames) == 20 * FPS + (40 * FPS // 2 if learns else 0)


def test_of_a_long_film_that_is_learnt_from_pieces_follow(film: Path) -> None:
    looks, frames = looked_at(film, learns=True)
    assert looks.pieces == pytest.approx((108.75 * NS, 216.25 * NS), abs=500 * MS)
    assert looks.tunes
    later = [frame for frame in frames if frame.pts_ns >= 60 * NS]
    # The key frame before the first piece lies in the first minute: that piece is left out. The other begins with one.
    assert (later[0].pts_ns, later[-1].pts_ns) == (125 * NS, 134 * NS)
    assert {b.pts_ns - a.pts_ns for a, b in pairwise(later)} == {2 * NS // FPS}
    for frame in later:
        assert abs(number(frame.image) - round(frame.pts_ns * FPS / NS) % 50) <= 1
    assert [frame.pts_ns // NS for frame in later if looks.at(frame)] == [125, 130]


def test_how_much_of_a_film_is_looked_at_has_a_bound() -> None:
    assert pieces_of(159 * NS) == ()
    assert pieces_of(160 * NS) == (105 * NS,)
    for minutes in (3, 10, 55, 90, 240):
        pieces = pieces_of(minutes * 60 * NS)
        assert len(pieces) == min((minutes - 1) * 60 // 100, 54)
        assert pieces[0] >= 60 * NS
        assert pieces[-1] + 10 * NS <= minutes * 60 * NS
        assert min((b - a for a, b in pairwise(pieces)), default=100 * NS) >= 100 * NS


def test_a_film_goes_on_elsewhere_and_from_its_start(film: Path) -> None:
    source = VideoFileSource(film)
    source.open()
    for _ in range(20):
        source.skip()
    for wanted_s, comes_s in ((130, 125), (274, 250), (49, 0), (125, 125), (900, 250)):
        assert source.jump(wanted_s * NS) == comes_s * NS
        frames = [source.read() for _ in range(3)]
        assert [frame.seq for frame in frames] == [0, 1, 2]
        assert [frame.pts_ns for frame in frames] == [comes_s * NS + k * NS // FPS for k in range(3)]
        assert abs(number(frames[1].image) - (comes_s * FPS + 1) % 50) <= 1
    source.close()
    assert source.jump(0) is None


def test_what_lies_between_pieces_is_not_heard(tmp_path: Path) -> None:
    path = tmp_path / "talk.mkv"
    voice = np.linspace(0, 0.5, 40 * VOICE_RATE).astype(np.float32)
    write_sound(path, voice)
    heard: list[tuple[int, Samples]] = []
    with film_voice(str(path)) as own:
        assert own is not None
        for until_s in (1, 2, 3, 30, 31, 39):
            own.hear_until(until_s * NS, lambda samples, pts_ns: heard.append((pts_ns, np.array(samples))))
    ends = [pts_ns + len(samples) * NS // VOICE_RATE for pts_ns, samples in heard]
    holes = [(end_ns, at_ns) for end_ns, (at_ns, _) in zip(ends, heard[1:], strict=False) if at_ns - end_ns > MS]
    assert holes == [(3 * NS, 28 * NS), (31 * NS, 37 * NS)]
    for pts_ns, samples in heard:
        at = pts_ns * VOICE_RATE // NS
        assert samples == pytest.approx(voice[at : at + len(samples)], abs=1e-3)


def write_sound(path: Path, voice: Samples) -> None:
    """A film of two pictures a second with ``voice`` (n,), uncompressed."""
    import av

    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=2)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=VOICE_RATE, layout="mono")
        for _ in range(2 * len(voice) // VOICE_RATE):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="bgr24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        block = av.AudioFrame.from_ndarray(np.round(voice[None] * 32767).astype(np.int16), format="s16", layout="mono")
        block.rate, block.pts = VOICE_RATE, 0
        container.mux([*sound.encode(block), *sound.encode(None)])
