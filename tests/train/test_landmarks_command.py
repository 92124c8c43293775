"""Extraction of landmarks from a real clip: a portrait and a tone, written here."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import matplotlib.cbook  # mediapipe requires it; it carries a public-domain portrait
import numpy as np

from engines.common.landmarks import clips_in, extract_all

RATE, FRAMES = 16_000, 5


def write_clip(path: Path) -> None:
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=True) as stream:
        picture = cv2.imdecode(np.frombuffer(stream.read(), np.uint8), cv2.IMREAD_COLOR)[:480, :512]
    tone = (np.sin(np.arange(RATE * FRAMES // 25) * 0.3) * 0.5).astype(np.float32)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25, width=512, height=480, pix_fmt="yuv420p")
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for _ in range(FRAMES):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        block = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
        block.rate, block.time_base, block.pts = RATE, Fraction(1, RATE), 0
        container.mux(sound.encode(block))
        container.mux([*video.encode(None), *sound.encode(None)])


def test_extracts_once_and_only_what_is_missing(tmp_path: Path) -> None:
    data, cache = tmp_path / "clips", tmp_path / "cache"
    data.mkdir()
    write_clip(data / "hopper.mp4")
    (data / "notes.txt").write_text("not a clip")
    assert [path.name for path in clips_in(data)] == ["hopper.mp4"]
    assert extract_all(data, cache) == 1
    assert extract_all(data, cache) == 0
    with np.load(cache / "hopper.npz", allow_pickle=False) as stored:
        assert stored["lm"].shape == (FRAMES, 478, 3)
        assert np.isfinite(stored["lm"]).all()
        assert (stored["lm"][..., :2] > 0).all()
        assert np.allclose(stored["pts"], np.arange(FRAMES) / 25)
        assert int(stored["rate"]) == RATE
        assert abs(len(stored["audio"]) - RATE * FRAMES // 25) <= 2048
    assert sorted(path.name for path in cache.iterdir()) == ["hopper.npz"]
