"""A broken file is read as far as it goes, or refused in one line. Never anything else."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from mutations import SUFFIXES, mutations, sample

from realtime_dub import cli
from realtime_dub.clock import VirtualClock
from realtime_dub.errors import EndOfStream, UserError
from realtime_dub.sources.registry import kind_of, open_video
from realtime_dub.sources.voices import open_voice

pytestmark = pytest.mark.computes

EACH = 40  # of every kind
MOST = 60  # frames or blocks that are read: some ways to break a file make it long


def read(source: object) -> str:
    """``read`` or ``refused``; what else there is to raise comes out."""
    try:
        info = source.open()
        for _ in range(MOST):
            item = source.read()
            if hasattr(item, "image"):
                assert item.image.shape == (info.height, info.width, 3)
            else:
                assert item.samples.shape[1] == info.channels
    except EndOfStream:
        return "read"
    except UserError:
        return "refused"
    finally:
        source.close()
    return "read"


def readings(path: Path) -> list[object]:
    name, clock = str(path), VirtualClock()
    voice = [] if kind_of(name) == "image" else [open_voice(name, clock=clock, video_path=None, live=False)]
    return [open_video(name, clock=clock, live=False), *voice]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow says what is wrong with a TIFF
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_broken_file_is_read_or_refused(suffix: str, tmp_path: Path) -> None:
    whole = sample(suffix)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole)
    assert "read" in [read(source) for source in readings(path)]
    for k, data in enumerate(mutations(whole, EACH, suffix)):
        path.write_bytes(data)
        for source in readings(path):
            try:
                read(source)
            except Exception as error:
                pytest.fail(f"mutation {k} of {suffix}, {type(source).__name__}: {type(error).__name__}: {error}")


@pytest.mark.parametrize(
    ("size", "code"), [((16_384, 1), 0), ((1, 1_500), 0), ((1, 1), 0), ((65_535, 1), 2), ((1, 65_535), 2)]
)
def test_pictures_of_any_shape_go_through_or_are_refused(
    size: tuple[int, int], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A moving picture that says that it is so large, which its pictures are not."""
    data = bytearray(sample(".gif"))
    data[6:10] = struct.pack("<HH", *size)
    film, out = tmp_path / "a.gif", tmp_path / "out.mp4"
    film.write_bytes(data)
    assert cli.run(["file", str(film), "--mic", "demo", "-o", str(out), "--engine", "passthrough", "-q"]) == code
    err = capsys.readouterr().err
    assert err.count("\n") == bool(code)
    assert ("16384 a side" in err) == bool(code)
    assert out.exists() != bool(code)
