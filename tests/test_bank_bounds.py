"""Banks from elsewhere: what is damaged, or would unpack to more than any bank, is refused before it is unpacked."""

from __future__ import annotations

import io
import itertools
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from realtime_dub.errors import BundleError
from realtime_dub.mouth.mouthbank.bank import CAPACITY, Bank
from realtime_dub.web.refusals import Refusal
from realtime_dub.web.studio.banks import from_bytes
from realtime_dub.web.studio.uploads import Uploads
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes

Members = dict[str, bytes]


def packed(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """What is in a bank that was saved."""
    path, bank = tmp_path_factory.mktemp("bank") / "me.bank", Bank()
    bank.observe(tracked_portrait())
    bank.save(path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def png(width: int, height: int) -> bytes:
    """A small file that decodes to a black picture of this size."""
    small = cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes()
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 0, 0, 0, 0])
    lines = zlib.compress(bytes((width + 1) * height), 9)
    chunks = [(b"IHDR", head), (b"IDAT", lines), (b"IEND", b"")]
    parts = [
        len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big") for name, data in chunks
    ]
    return small[:8] + b"".join(parts)


def as_image(data: bytes) -> bytes:
    return packed(np.frombuffer(data, np.uint8))


def claiming(shape: tuple[int, ...]) -> bytes:
    """An array that says it is of this shape and holds nothing."""
    stream = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue()


def jpeg() -> bytes:
    return cv2.imencode(".jpg", np.zeros((6000, 6000), np.uint8))[1].tobytes()


BOMBS: dict[str, Callable[[Members], Members]] = {
    "a picture of 36 million pixels": lambda m: m | {"image0.npy": as_image(png(6000, 6000))},
    "a wide picture": lambda m: m | {"image0.npy": as_image(png(401, 10))},
    "a picture of another kind": lambda m: m | {"image0.npy": as_image(jpeg())},
    "no picture": lambda m: m | {"image0.npy": as_image(b"\x89PNG\r\n\x1a\n")},
    "a picture of decimals": lambda m: m | {"image0.npy": packed(np.zeros(100))},
    "too many pictures": lambda m: m | {f"image{i}.npy": m["image0.npy"] for i in range(CAPACITY + 1)},
    "zeros": lambda m: m | {"neutral.npy": packed(np.zeros((5_000_000, 3), np.float32))},
    "zeros beside it": lambda m: m | {"other.npy": packed(np.zeros(20_000_000, np.float32))},
    "a declared terabyte": lambda m: m | {"neutral.npy": claiming((1 << 38,))},
    "many members": lambda m: m | {f"x{i}.npy": b"" for i in range(2000)},
    "a face without a mouth": lambda m: m | {"neutral.npy": packed(np.zeros((478, 3), np.float32))},
    "a face of no numbers": lambda m: m | {"neutral.npy": packed(np.full((478, 3), np.nan, np.float32))},
    "a huge face": lambda m: m | {"neutral.npy": packed(np.full((478, 3), 1e30, np.float32))},
    "lips far away": lambda m: m | {"lips0.npy": packed(np.full((40, 2), 1e30, np.float32))},
    "text for lips": lambda m: m | {"lips0.npy": packed(np.full((40, 2), "x"))},
    "no lips": lambda m: {name: data for name, data in m.items() if name != "lips0.npy"},
    "no header": lambda m: m | {"neutral.npy": b"none"},
}


@pytest.mark.parametrize("what", BOMBS)
def test_what_no_bank_holds_is_refused_and_costs_no_memory(what: str, members: Members, tmp_path: Path) -> None:
    path = write(tmp_path / "bad.bank", BOMBS[what](members))
    tracemalloc.start()
    try:
        with pytest.raises(BundleError, match=r"cannot read bank .*bad\.bank: ") as caught:
            Bank.load(path)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    with pytest.raises(BundleError):
        from_bytes(path.read_bytes(), "mouthbank")


def test_a_bank_as_it_was_saved_is_taken(members: Members, tmp_path: Path) -> None:
    assert len(Bank.load(write(tmp_path / "me.bank", members)).mouths) == 1


def test_what_is_no_file_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bank"):
        Bank.load(tmp_path / "none.bank")
    with pytest.raises(BundleError, match="cannot read bank"):
        Bank.load(tmp_path)


def test_a_bank_with_any_byte_changed_is_read_or_refused(members: Members, tmp_path: Path) -> None:
    path = write(tmp_path / "me.bank", members)
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for _, at in itertools.product(range(2), rng.integers(0, len(data), 150)):
        changed = data.copy()
        changed[at] = int(rng.integers(0, 256))
        path.write_bytes(changed)
        try:
            Bank.load(path)
        except BundleError as error:
            assert "\n" not in str(error)  # noqa: PT017  (most are refused, some changes do no harm)


def test_a_small_file_with_a_huge_picture_is_no_photograph_for_the_studio(tmp_path: Path) -> None:
    uploads = Uploads(10_000_000, tmp_path)
    try:
        arrival = uploads.begin("me.png")
        arrival.path.write_bytes(png(30_000, 30_000))
        assert arrival.path.stat().st_size < 1_000_000
        with pytest.raises(Refusal, match="more than 67 million"):
            uploads.keep(arrival)
        assert list(tmp_path.iterdir()) == []
    finally:
        uploads.close()
