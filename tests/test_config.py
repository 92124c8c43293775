"""Configuration values: checked once, frozen, refused in one line."""

from __future__ import annotations

from pathlib import Path
from typing import get_type_hints

import pytest
from pydantic import ValidationError

from realtime_dub import cli
from realtime_dub.config import FileConfig, LiveConfig, build
from realtime_dub.errors import ConfigError, DeviceError
from realtime_dub.web.config import ServeConfig

pytestmark = pytest.mark.computes


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
        ({"silence": "loud"}, "silence = 'loud'"),
    ],
)
def test_a_bad_value_is_one_line_that_names_it(values: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        build(LiveConfig, **values)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"turn": "turn:relay.example"}, "cannot use these options together; a TURN server needs turn_secret"),
        ({"tls_cert": "cert.pem"}, "cannot use these options together; "),
        ({"token": "hush"}, "cannot use token; String should have at least 8 characters"),
        ({"turn_password": 17}, "cannot use turn_password; "),
    ],
)
def test_what_is_wrong_with_options_repeats_neither_secrets_nor_all_of_them(
    values: dict[str, object], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        build(ServeConfig, **{"token": "a-long-secret", "turn_secret": None, "turn_password": None} | values)
    assert str(caught.value).startswith(says)
    assert len(str(caught.value)) < 200
    assert "a-long-secret" not in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_missing_value_is_named() -> None:
    with pytest.raises(ConfigError, match="output"):
        build(FileConfig, input="a.mp4")


@pytest.mark.parametrize("face", ["largest", "left", "right", "0", "3"])
def test_faces(face: str) -> None:
    assert build(LiveConfig, face=face).face == face


def numeric_options() -> list[tuple[str, str]]:
    """(command, option) of everything on the command line that takes a number."""
    commands = {"": cli.live, "file": cli.dub_file, "enroll": cli.make_bank, "serve": cli.serve}
    numbers = (int, float, int | None, float | None)
    return [
        (command, f"--{name.replace('_', '-')}")
        for command, function in commands.items()
        for name, kind in get_type_hints(function).items()
        if kind in numbers
    ]


@pytest.mark.parametrize("value", ["inf", "nan", "-1", "9" * 5_000])
def test_no_number_is_taken_that_is_none(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    needed = {"file": ["a.mp4", "-o", "b.mp4"], "enroll": ["a.mp4", "-o", "b.bank"]}
    options = numeric_options()
    assert len(options) > 20
    for command, option in options:
        arguments = [*([command] if command else []), *needed.get(command, []), option, value]
        assert (cli.run(arguments), arguments) == (2, arguments)
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "fault of ours" not in err


@pytest.mark.parametrize("face", ["-1", "²", "٣", "9" * 5_000, "1.5", "inf"])
def test_what_is_no_number_is_no_face(face: str) -> None:
    from realtime_dub.face.tracker import MediaPipeTracker

    for refuse in (lambda: build(LiveConfig, face=face), lambda: MediaPipeTracker(face)):
        with pytest.raises(ConfigError):
            refuse()


@pytest.mark.parametrize("spec", ["²", "٣", "9" * 5_000, "-1", "\0"])
def test_what_is_no_number_is_no_device(spec: str) -> None:
    from realtime_dub.audio.sound_host import find_device
    from realtime_dub.sources.registry import kind_of

    class NoSound:
        def devices(self, kind: str) -> list[object]:
            return []

    assert kind_of(spec) == "file"
    with pytest.raises(DeviceError):
        find_device(NoSound(), spec, "input")  # type: ignore[arg-type]


def test_an_unknown_preset_is_refused_before_anything_is_opened() -> None:
    with pytest.raises(ConfigError, match="preset = 'nonsense'"):
        build(FileConfig, input="a.mp4", output="b.mp4", preset="nonsense")
