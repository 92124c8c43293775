"""What of a file could not be decoded is told, also where the run ends before the file does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from films import numbered
from sound_files import buzz, write

from realtime_dub import cli

pytestmark = pytest.mark.computes


def other_codecs(path: Path, sound: str) -> Path:
    """Two seconds of a film, two of one with another sound under the same number, two of the first again."""
    data = b""
    for codec in ("aac", sound, "aac"):
        data += write(
            path, buzz(48_000, 2.0)[:, None], 48_000, codec, pictures=numbered(64, 48), seconds=2.0
        ).read_bytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("options", [[], ["--seconds", "4.5"]])
def test_lost_sound_is_told_though_the_run_ends_before_the_file(
    tmp_path: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    film = other_codecs(tmp_path / "a.ts", "ac3")
    assert cli.run(["file", str(film), "-o", str(tmp_path / "b.mp4"), "--engine", "passthrough", *options]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "a.ts is damaged" in told
    assert "sound were not decoded" in told or "s of audio were decoded" in told  # the latter where its end was reached


def test_lost_pictures_are_told_though_the_run_ends_before_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    film = write(tmp_path / "a.ts", buzz(48_000, 4.0)[:, None], 48_000, "aac", pictures=noise, seconds=4.0)
    data = bytearray(film.read_bytes())
    middle = len(data) // 376 * 188
    dice = np.random.default_rng(1)
    for at in range(middle - 188 * 60, middle, 188):  # the packets stay what they are, and what they carry is lost
        data[at + 12 : at + 188] = dice.integers(0, 256, 176, np.uint8).tobytes()
    film.write_bytes(data)
    arguments = ["file", str(film), "-o", str(tmp_path / "b.mp4"), "--engine", "passthrough", "--seconds", "3"]
    assert cli.run(arguments) == 0
    assert "a.ts is damaged" in " ".join(capsys.readouterr().out.split())


def noise(index: int) -> np.ndarray:
    return np.random.default_rng(index).integers(0, 256, (48, 64, 3), np.uint8)
