"""Configuration values: checked once, frozen, refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import ConfigError


def test_defaults() -> None:
    config = build(LiveConfig)
    assert (config.webcam, config.mic, config.to, config.width, config.height, config.fps) == (
        "0",
        "default",
        (),
        640,
        480,
        25,
    )
    assert config.budget_ms is None
    assert build(FileConfig, input="a.mp4", output="b.mp4").output == Path("b.mp4")


def test_frozen() -> None:
    with pytest.raises(ValidationError):
        build(LiveConfig).fps = 30


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"width": 0}, "width = 0"),
        ({"fps": "fast"}, "fps = 'fast'"),
        ({"budget_ms": -1}, "budget_ms"),
        ({"budget_ms": float("nan")}, "budget_ms"),
        ({"face": "upper"}, "largest, left, right or a number"),
        ({"pcm_format": "u8"}, "pcm_format"),
        ({"nonsense": 1}, "nonsense"),
        ({"strength": 3}, "strength"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(values: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(LiveConfig, **values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match="output"):
        build(FileConfig, input="a.mp4")


@pytest.mark.parametrize("face", ["largest", "left", "right", "0", "3"])
def test_faces(face: str) -> None:
    assert build(LiveConfig, face=face).face == face
