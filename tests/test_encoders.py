"""Encoders of H.264: which is taken, and what becomes of it where none in hardware works, as on most machines."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

import av
import cv2
import numpy as np
import pytest

from realtime_dub import config
from realtime_dub.doctor import engine
from realtime_dub.errors import DependencyError
from realtime_dub.media import OutputFormat
from realtime_dub.publishers import codecs, encoder_trial, h264
from realtime_dub.publishers.h264 import H264, HARDWARE, X264, Wanted
from realtime_dub.publishers.muxer import MuxPublisher
from tests.media_files import grid, output_format, publish, ticks

RATE = Fraction(25)
SIZE = (160, 120)
NV12 = H264("libx264", h264._x264, "nv12")  # what stands for an encoder that takes no yuv420p
WANTED = Wanted(crf=23, preset="superfast", live=True, fps=RATE, size=SIZE, most_bits=900_000)


def film(path: Path, **how: object) -> tuple[MuxPublisher, np.ndarray]:
    """What was written, and its pictures as they are decoded."""
    publisher, fmt = MuxPublisher(path, crf=0, **how), output_format(*SIZE, rate=0)  # type: ignore[arg-type]
    publish(publisher, fmt, ticks(fmt, grid(5, RATE)))
    with av.open(str(path)) as container:
        return publisher, np.stack([frame.to_ndarray() for frame in container.decode(video=0)])


def test_the_command_line_offers_those_that_there_are() -> None:
    assert get_args(config.Encoder) == h264.NAMES


def test_software_is_libx264_and_nothing_is_tried() -> None:
    assert h264.choose("software", WANTED) == (X264, "")


@pytest.mark.parametrize("name", HARDWARE)
def test_what_does_not_work_here_is_told_with_a_reason(name: str) -> None:
    why = h264.why_not({name: HARDWARE[name]}, WANTED)[name]
    if why is None:
        pytest.skip(f"{name} works on this machine")
    assert why
    assert "\n" not in why
    with pytest.raises(DependencyError, match=f"{name}: .*; use --encoder auto or software"):
        h264.choose(name, WANTED)


def test_one_that_opens_is_taken_the_first_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"missing": H264("h264_of_nobody", h264._x264), "works": NV12, "works too": X264}
    monkeypatch.setattr(h264, "HARDWARE", there)
    assert h264.choose("auto", WANTED) == (NV12, "")


def test_one_that_does_not_take_what_an_output_asks_of_it_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens, but not as a film would open it."""
    odd = H264("libx264", lambda wanted: {"preset": "as nobody has it"})
    monkeypatch.setattr(h264, "HARDWARE", {"odd": odd})
    chosen, note = h264.choose("auto", WANTED)
    assert chosen is X264
    assert "odd: " in note


@pytest.mark.parametrize(
    ("process", "why"),
    [
        ("import time; time.sleep(600)", "no answer within 1 s"),
        ("import os; os.abort()", "its driver ended the process that tried it"),
        ("import os; os.write(1, b'libva info: VA-API'); os._exit(0)", "its driver ended the process that tried it"),
    ],
)
def test_a_driver_that_hangs_or_ends_its_process_is_told(
    process: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder_trial, "TRIAL_S", 1.0)
    monkeypatch.setattr(encoder_trial, "START", process)
    assert str(h264.why_not({"odd": X264})["odd"]).startswith(why)


def test_what_a_driver_prints_is_not_seen_and_no_answer(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    prints = r"import os; os.write(1, b'libva info: VA-API\n'); os.write(2, b'libva error\n'); "
    monkeypatch.setattr(encoder_trial, "START", prints + encoder_trial.START)
    assert h264.why_not({"works": X264, "missing": H264("h264_of_nobody", h264._x264)}) == {
        "works": None,
        "missing": "not in this PyAV",
    }
    assert capfd.readouterr() == ("", "")


def test_each_codec_is_tried_as_a_film_would_be() -> None:
    assert codecs.why_not() == dict.fromkeys(codecs.NAMES)


def test_auto_falls_back_to_software_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With FFmpeg's own encoders where this build has some that cannot open, and one that is in no build."""
    failing = {name: HARDWARE[name] for name, why in h264.why_not(HARDWARE, WANTED).items() if why is not None}
    monkeypatch.setattr(h264, "HARDWARE", {**failing, "missing": H264("h264_of_nobody", h264._x264)})
    publisher, pictures = film(tmp_path / "auto.mp4", encoder="auto")
    assert len(publisher.notes) == 1
    assert publisher.notes[0].startswith("no hardware encoder works here (")
    assert "missing: not in this PyAV" in publisher.notes[0]
    assert np.array_equal(pictures, film(tmp_path / "software.mp4")[1])


def test_an_encoder_that_was_named_and_does_not_work_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    named = next((name for name, why in h264.why_not(HARDWARE, WANTED).items() if why is not None), None)
    if named is None:
        pytest.skip("all of them work here")
    publisher = MuxPublisher(tmp_path / "film.mp4", encoder=named)
    with pytest.raises(DependencyError, match="cannot use the encoder"):
        publisher.open(output_format(*SIZE, rate=0))
    publisher.close()
    assert not list(tmp_path.iterdir())


def test_an_encoder_of_another_layout_gets_the_same_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(h264, "HARDWARE", {"works": NV12})
    publisher, pictures = film(tmp_path / "nv12.mp4", encoder="works")
    assert publisher.notes == []
    assert np.array_equal(pictures, film(tmp_path / "yuv420p.mp4")[1])


@pytest.mark.parametrize("name", ["software", *HARDWARE])
def test_each_has_options_for_quality_and_for_live(name: str) -> None:
    encoder = X264 if name == "software" else HARDWARE[name]
    live, file = h264.options(encoder, WANTED), h264.options(encoder, Wanted(16, None, False, RATE, SIZE))
    assert live["bf"] == file["bf"] == "0"
    assert live["maxrate"] == "900000"
    assert "maxrate" not in file
    assert live["g"] == "50"
    assert live.items() - file.items()
    assert any("16" in value or value.isdecimal() for value in file.values())


@pytest.mark.parametrize("live", [False, True])
def test_the_options_are_ones_that_the_encoders_of_this_build_have(live: bool) -> None:
    """An encoder that cannot be opened here tells of its options all the same."""
    for name, encoder in {"software": X264, **HARDWARE}.items():
        try:
            context: Any = av.CodecContext.create(encoder.codec, "w")
        except ValueError:  # of another system
            continue
        known = {
            option.name: option for option in (*context.supported_options.generic, *context.supported_options.private)
        }
        wanted = Wanted(20, "veryfast" if live else None, live, RATE, SIZE, 1_000_000)
        for option, value in h264.options(encoder, wanted).items():
            assert option in known, (name, option)
            words = [choice.name for choice in known[option].choices]
            number = value.replace(".", "", 1).isdecimal()
            assert number or not words or value in words, (name, option, value)


def test_doctor_tells_of_each() -> None:
    finding = engine.hardware()
    works = None in h264.why_not(HARDWARE).values()
    assert (finding.state, "none is needed" in finding.advice) == (("ok", False) if works else ("warn", True))
    assert all(f"{name}: " in finding.detail for name in HARDWARE)


def test_the_size_that_is_tried_is_the_outputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[tuple[int, int]] = []
    monkeypatch.setattr(h264, "HARDWARE", {"works": X264})
    monkeypatch.setattr(
        encoder_trial, "why_not", lambda trials: tried.append((trials[0].width, trials[0].height)) or [None]
    )
    publisher = MuxPublisher(tmp_path / "film.mp4", encoder="auto")
    publisher.open(OutputFormat(161, 121, RATE, 0, 0, False))
    publisher.close()
    assert tried == [(162, 122)]


def test_what_suits_a_film_is_as_good_as_veryfast_and_hardly_larger(tmp_path: Path) -> None:
    fmt, there = output_format(320, 240, rate=0), {}
    frames = list(ticks(fmt, grid(25, RATE), pictures=_drifting))
    for preset in (None, "veryfast"):
        path = tmp_path / f"{preset}.mp4"
        publish(MuxPublisher(path, preset=preset), fmt, frames)
        with av.open(str(path)) as container:
            seen = [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]
        error = np.mean([np.square(a.astype(float) - b.image).mean() for a, b in zip(seen, frames, strict=True)])
        there[preset] = path.stat().st_size, error
    assert there[None][0] < 1.35 * there["veryfast"][0]
    assert there[None][1] < 1.1 * there["veryfast"][1]


@pytest.mark.parametrize(("size", "coder"), [((320, 240), "vlc"), ((1280, 720), "")])
def test_small_films_are_coded_the_quicker_way_and_look_the_same(
    tmp_path: Path, size: tuple[int, int], coder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = Wanted(16, None, False, Fraction(25), size)
    assert h264.options(X264, wanted).get("coder", "") == coder
    if not coder:
        return
    path, fmt = tmp_path / "film.mp4", output_format(*size, rate=0)
    shown = []
    for smallest in (h264.SMALL, 0):
        monkeypatch.setattr(h264, "SMALL", smallest)
        publish(MuxPublisher(path), fmt, ticks(fmt, grid(12, Fraction(25)), pictures=_drifting))
        with av.open(str(path)) as container:
            shown.append(np.stack([each.to_ndarray() for each in container.decode(video=0)]))
    assert np.array_equal(*shown)


def _drifting(fmt: OutputFormat, k: int) -> np.ndarray:
    """Soft shapes that move, with a little grain."""
    rng = np.random.default_rng(0)
    shapes = cv2.GaussianBlur(rng.integers(0, 256, (fmt.height, fmt.width, 3)).astype(np.float32), (0, 0), 9)
    soft = np.roll(128 + 8 * (shapes - shapes.mean()), (k, 2 * k), (0, 1))
    grain = np.random.default_rng(k).normal(0, 2, soft.shape)
    return np.clip(soft + grain, 0, 255).astype(np.uint8)
