"""Title, chapters, subtitles and languages of a film, in what is made of it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from sound_files import frames

from realtime_dub.config import FileConfig, build
from realtime_dub.pipeline.file.run import run_file
from realtime_dub.pipeline.statistics import Report
from realtime_dub.publishers.carried import plain_text

pytestmark = pytest.mark.computes

MILLISECOND = Fraction(1, 1000)
CUES = [(0, 300, "one"), (700, 400, "two"), (1_500, 900, "three <i>last</i>"), (2_400, 300, "after the end")]


def payload(codec: str, text: str) -> bytes:
    data = text.encode()
    if codec == "mov_text":
        data = text.replace("<i>", "").replace("</i>", "").encode()
        return len(data).to_bytes(2, "big") + data
    return b"0,0,Default,,0,0,0,," + data if codec == "ass" else data


def write_film(path: Path, subtitles: dict[str, str], chapters: bool = True, first_ms: int = 0) -> Path:
    """Two seconds; ``subtitles``: codec by language; pictures begin at ``first_ms``, the sound at 0."""
    with av.open(str(path), "w") as container:
        container.metadata.update({"title": "My film", "artist": "Me", "comment": "fine"})
        film = container.add_stream("mpeg4", rate=25, width=64, height=48, time_base=MILLISECOND)
        sound = container.add_stream("aac", rate=48_000, layout="mono")
        sound.metadata.update({"language": "fra", "title": "Commentary"})
        texts = []
        for language, codec in subtitles.items():
            texts.append(container.add_mux_stream(codec))
            texts[-1].time_base = MILLISECOND
            texts[-1].metadata.update({"language": language, "title": f"in {language}"})
        if chapters:
            times = [(1, 0, 500, "Beginning"), (2, 500, 1_200, "Middle"), (3, 1_200, 4_000, "End")]
            container.set_chapters(
                [
                    {"id": n, "start": a, "end": b, "time_base": MILLISECOND, "metadata": {"title": t}}
                    for n, a, b, t in times
                ]
            )
        packets: list[tuple[float, Any]] = []
        for index in range(50):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), "bgr24")
            frame.pts, frame.time_base = index * 40 + first_ms, MILLISECOND
            packets += [(index * 40 + first_ms, packet) for packet in film.encode(frame)]
        for frame in frames(np.zeros((2 * 48_000, 1), np.float32), 48_000, "mono", 1_024):
            planar = av.AudioFrame.from_ndarray(frame.to_ndarray(), "fltp", "mono")
            planar.rate, planar.pts, planar.time_base = 48_000, frame.pts, frame.time_base
            packets += [(frame.pts / 48, packet) for packet in sound.encode(planar)]
        for stream, codec in zip(texts, subtitles.values(), strict=True):
            for start, length, text in CUES:
                packet = av.Packet(payload(codec, text))
                packet.stream, packet.time_base, packet.duration = stream, MILLISECOND, length
                packet.pts = packet.dts = start
                packets.append((start, packet))
        for _, packet in sorted(packets, key=lambda each: each[0]):
            container.mux(packet)
        container.mux(film.encode(None))
        container.mux(sound.encode(None))
    return path


def dub(source: Path, output: Path, **config: object) -> Report:
    return run_file(build(FileConfig, input=str(source), output=output, engine="passthrough", **config))


def subtitles_of(path: Path) -> dict[str, list[tuple[int, int, str]]]:
    """(start ms, length ms, text) by language."""
    found: dict[str, list[tuple[int, int, str]]] = {}
    with av.open(str(path)) as container:
        streams = {stream.index: stream for stream in container.streams.subtitles}
        for packet in container.demux(*container.streams.subtitles) if streams else ():
            stream = streams[packet.stream.index]
            text = plain_text(bytes(packet), stream.codec_context.name) if packet.size else ""
            if text:
                found.setdefault(stream.language, []).append(
                    (
                        round(packet.pts * packet.time_base * 1000),
                        round(packet.duration * packet.time_base * 1000),
                        text,
                    )
                )
    return found


def chapters_of(path: Path) -> list[tuple[str, int, int]]:
    with av.open(str(path)) as container:
        return [
            (each["metadata"]["title"], *(round(each[at] * each["time_base"] * 1000) for at in ("start", "end")))
            for each in container.chapters()
        ]


@pytest.mark.parametrize("output", ["out.mkv", "out.mp4", "out.mov"])
@pytest.mark.parametrize("codec", ["subrip", "ass", "webvtt", "mov_text"])
def test_what_a_film_carries_is_carried_over(tmp_path: Path, output: str, codec: str) -> None:
    source = write_film(tmp_path / ("a.mp4" if codec == "mov_text" else "a.mkv"), {"eng": codec, "ger": codec})
    report = dub(source, tmp_path / output)
    assert not [note for note in report.notes if "subtitles" in note]
    cut = [(0, 300, "one"), (700, 400, "two"), (1_500, 500, "three last")]
    assert subtitles_of(tmp_path / output) == {"eng": cut, "ger": cut}
    assert chapters_of(tmp_path / output) == [("Beginning", 0, 500), ("Middle", 500, 1_200), ("End", 1_200, 2_000)]
    with av.open(str(tmp_path / output)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        assert (tags["title"], tags["artist"], tags["comment"]) == ("My film", "Me", "fine")
        assert container.streams.audio[0].language == "fra"
        assert len(list(container.decode(video=0))) == 50


def test_times_follow_the_first_picture_and_the_cut(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", {"eng": "subrip"}, first_ms=200)
    dub(source, tmp_path / "out.mkv", seconds=1)
    assert subtitles_of(tmp_path / "out.mkv") == {"eng": [(0, 100, "one"), (500, 300, "two")]}
    assert chapters_of(tmp_path / "out.mkv") == [("Beginning", 0, 300), ("Middle", 300, 800)]


def test_pictures_of_letters_go_where_they_can(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", {"eng": "dvdsub", "ger": "subrip"})
    kept = dub(source, tmp_path / "out.mkv")
    assert not kept.notes or not any("subtitles" in note for note in kept.notes)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert [each.codec_context.name for each in container.streams.subtitles] == ["dvdsub", "srt"]
        assert [len([p for p in container.demux(each) if p.size]) for each in container.streams.subtitles[:1]] == [3]
    told = dub(source, tmp_path / "out.mp4")
    [note] = [note for note in told.notes if "subtitles" in note]
    assert note == "this kind of file cannot hold subtitles (eng, dvdsub): they are left out; write .mkv to keep them"
    assert list(subtitles_of(tmp_path / "out.mp4")) == ["ger"]


@pytest.mark.parametrize("output", ["out.ts", "out.flv"])
def test_a_kind_of_file_that_holds_no_text_says_so(tmp_path: Path, output: str) -> None:
    source = write_film(tmp_path / "a.mkv", {"eng": "subrip"})
    report = dub(source, tmp_path / output)
    assert [note for note in report.notes if "cannot hold subtitles (eng, srt)" in note]
    with av.open(str(tmp_path / output)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 50


def test_another_voice_does_not_speak_the_films_language(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mkv", {})
    dub(source, tmp_path / "out.mkv", mic="demo", seconds=0.5)
    with av.open(str(tmp_path / "out.mkv")) as container:
        assert container.streams.audio[0].language in (None, "und")
        assert container.metadata["title"] == "My film"


def test_a_film_without_extras_has_none(tmp_path: Path) -> None:
    source = write_film(tmp_path / "a.mp4", {}, chapters=False)
    dub(source, tmp_path / "out.mp4", seconds=0.4)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
        assert container.chapters() == []
