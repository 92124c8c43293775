"""The size of a coded picture is read before a decoder believes it."""

from __future__ import annotations

import pytest
from hostile_peers import claiming, coded
from hypothesis import given
from hypothesis import strategies as st

from realtime_dub.web.rtc.headers import Declared, read

KINDS = {
    "baseline": {"profile": "baseline", "tune": "zerolatency"},
    "high": {"profile": "high"},
    "interlaced": {"x264-params": "interlaced=1"},
    "lists": {"x264-params": "cqm=jvt"},
}


def bits(*fields: tuple[int, int] | int) -> bytes:
    """(value, bits), or a number in Exp-Golomb; with the bytes that keep start codes out."""
    text = ""
    for each in fields:
        if isinstance(each, tuple):
            text += f"{each[0]:0{each[1]}b}"
        else:
            code = f"{each + 1:b}"
            text += "0" * (len(code) - 1) + code
    text += "1" + "0" * (-(len(text) + 1) % 8)
    raw, out = int(text, 2).to_bytes(len(text) // 8, "big"), b""
    for byte in raw:
        out += b"\x03" * (out.endswith(b"\0\0") and byte <= 3) + bytes([byte])
    return out


def claim(macroblocks_wide: int, macroblocks_high: int, held: int = 1) -> bytes:
    """A sequence parameter set of H.264 behind its start code."""
    fields = bits((66, 8), (0, 8), (51, 8), 0, 0, 2, held, (0, 1), macroblocks_wide - 1, macroblocks_high - 1, (1, 1))
    return b"\0\0\0\1\x67" + fields


@pytest.mark.parametrize("size", [(320, 180), (640, 480), (1280, 720)])
def test_the_size_of_vp8(size: tuple[int, int]) -> None:
    whole, *others = coded(*size, frames=3)
    assert [(each.width, each.height) for each in read("VP8", whole).sizes] == [size]
    assert read("VP8", whole).whole
    assert not any(read("VP8", each).whole or read("VP8", each).sizes for each in others)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(320, 192), (640, 480), (1280, 736)])
def test_the_size_of_h264(kind: str, size: tuple[int, int]) -> None:
    whole, *others = coded(*size, codec="libx264", frames=3, **KINDS[kind])
    (said,) = read("H264", whole).sizes
    assert (said.width, said.height) == size
    assert said.usable
    assert read("H264", whole).whole
    assert not any(read("H264", each).sizes for each in others)


def test_what_is_too_large_is_not_usable() -> None:
    for data in (claiming(16_383, 16_383), claiming(16_383, 16), claiming(0, 0), claiming(4_096, 4_096)):
        assert not any(size.usable for size in read("VP8", data).sizes)
    for data in (
        claim(1_024, 1_024),
        claim(4_000_000, 1),
        claim(256, 144, held=16),
        claim(80, 45) + claim(1_024, 1_024),
    ):
        assert not all(size.usable for size in read("H264", data).sizes)
    for width, height, held in ((4_096, 2_160, 4), (1_920, 1_088, 16), (1_080, 1_920, 4), (160, 90, 1)):
        assert Declared(width, height, held).usable


def test_a_start_code_within_a_fragment_is_found() -> None:
    assert read("H264", b"\0\0\0\1\x65" + bytes(range(1, 200)) + claim(1_024, 1_024)).sizes[0].width == 16_384


@given(st.sampled_from(["VP8", "H264"]), st.binary(max_size=80), st.booleans())
def test_whatever_comes_is_read_or_refused(codec: str, data: bytes, unit: bool) -> None:
    try:
        header = read(codec, b"\0\0\1\x67" + data if unit else data)
    except ValueError:
        return
    assert all(size.width >= 0 for size in header.sizes)
