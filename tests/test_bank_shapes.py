"""Banks that unpack well and tell of no face: refused, in one line that names the file, before anything is drawn."""

from __future__ import annotations

import io
import os
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_bank_bounds import Members, as_image, members, packed, write

from realtime_dub.errors import BundleError
from realtime_dub.face.alignment import LOWER, TEMPLATE
from realtime_dub.face.descriptor import LENGTH
from realtime_dub.mouth.mouthbank import bank_shapes
from realtime_dub.mouth.mouthbank.bank import CAPACITY, Bank, Mouth
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from tests.faces import tracked_portrait

pytestmark = pytest.mark.computes

__all__ = ["members"]

Change = Callable[[np.ndarray], np.ndarray]


def unpacked(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def changed(name: str, change: Change) -> Callable[[Members], Members]:
    return lambda m: m | {f"{name}.npy": packed(change(unpacked(m[f"{name}.npy"])))}


def one_point(array: np.ndarray) -> np.ndarray:
    return np.full_like(array, 0.5)


def mouth_alone(face: np.ndarray) -> np.ndarray:
    """All of a face in one point, but for the corners of the mouth."""
    return np.where(np.isin(np.arange(478), [61, 291])[:, None], face, 0).astype(np.float32)


def numbered(array: np.ndarray, value: complex) -> np.ndarray:
    out = array.astype(np.result_type(array, np.array(value).dtype))
    out.reshape(-1)[-1] = value
    return out


def gallery(faces: np.ndarray, views: np.ndarray) -> Members:
    return {"faces.npy": packed(faces), "views.npy": packed(views)}


NO_FACES: dict[str, Callable[[Members], Members]] = {
    "a face of zeros": changed("neutral", np.zeros_like),
    "a face in one point": changed("neutral", one_point),
    "a face that is a mouth alone": changed("neutral", mouth_alone),
    "a face upside down": changed("neutral", lambda face: face * np.array([1, -1, 1], np.float32)),
    "a face turned over": changed("neutral", lambda face: face * np.array([-1, 1, 1], np.float32)),
    "a face ten times as large": changed("neutral", lambda face: face * np.float32(10)),
    "a small face": changed("neutral", lambda face: face * np.float32(0.2)),
    "points in any order": changed("neutral", lambda face: np.random.default_rng(0).permutation(face)),
    "a point far away": changed("neutral", lambda face: numbered(face, 50.0)),
    "a point beyond numbers": changed("neutral", lambda face: numbered(face, 1e38)),
    "no number": changed("neutral", lambda face: numbered(face, np.nan)),
    "a complex face": changed("neutral", lambda face: face + 0j),
    "a face of truths": changed("neutral", lambda face: face > 0),
    "a face of text": changed("neutral", lambda face: face.astype("U8")),
    "a face of dates": changed("neutral", lambda face: face.astype("i8").astype("M8[s]")),
    "a face of records": changed("neutral", lambda face: np.zeros(face.shape, [("a", "f4"), ("b", "f4")])),
    "another mesh": changed("neutral", lambda face: face[:468]),
    "a shut face that is none": lambda m: (
        m | {"closed.npy": packed(np.zeros((478, 3))), "wide.npy": packed(np.ones(1))}
    ),
    "a shut face and no width": lambda m: m | {"closed.npy": m["neutral.npy"]},
    "a mouth as wide as none": lambda m: m | {"closed.npy": m["neutral.npy"], "wide.npy": packed(np.full(1, 9.0))},
    "lips in one point": changed("lips0", one_point),
    "lips outside the picture": changed("lips0", lambda lips: lips + np.float32(500)),
    "lips without a number": changed("lips0", lambda lips: numbered(lips, np.inf)),
    "a shape of zeros": changed("shape0", np.zeros_like),
    "a shape in one point": changed("shape0", one_point),
    "a shape upside down": changed("shape0", lambda shape: -shape),
    "a shape as none": changed("shape0", lambda shape: shape * np.float32(20)),
    "a shape of other points": changed("shape0", lambda shape: shape[:20]),
    "complex lips": changed("lips0", lambda lips: lips + 0j),
    "a view from behind the camera": changed("angles0", lambda angles: angles + np.float32(3)),
    "a sharpness beyond numbers": changed("scalars0", lambda scalars: numbered(scalars, np.inf)),
    "faces beyond numbers": lambda m: m | gallery(np.full((1, LENGTH), 1e6), np.zeros((1, 2))),
    "faces of another length": lambda m: m | gallery(np.zeros((1, 3)), np.zeros((1, 2))),
    "fewer views than faces": lambda m: m | gallery(np.zeros((2, LENGTH)), np.zeros((1, 2))),
    "views behind the camera": lambda m: m | gallery(np.zeros((1, LENGTH)), np.full((1, 2), 3.0)),
    "a format of text": lambda m: m | {"format.npy": packed(np.array("1"))},
    "a list of formats": lambda m: m | {"format.npy": packed(np.ones(3, int))},
    "a picture that ends early": lambda m: m | {"image0.npy": as_image(unpacked(m["image0.npy"]).tobytes()[:200])},
    "a picture of a pixel": lambda m: m | {"image0.npy": as_image(cv2.imencode(".png", np.zeros((1, 1)))[1].tobytes())},
    "an object": lambda m: m | {"neutral.npy": pickled()},
    "another name": lambda m: m | {"../neutral.npy": m["neutral.npy"]},
    "a name without its end": lambda m: m | {"image0": m["image0.npy"]},
    "a bank in a bank": lambda m: m | {"bank.npy": inside(m)},
    "a head without an end": lambda m: m | {"neutral.npy": b"\x93NUMPY\x02\x00\xff\xff\xff\xffx"},
    "a head too deep": lambda m: m | {"neutral.npy": with_head("(" * 9_000)},
}


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{}], object), allow_pickle=True)
    return stream.getvalue()


def inside(m: Members) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("neutral.npy", m["neutral.npy"])
    return out.getvalue()


def with_head(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def refused(path: Path) -> str:
    with pytest.raises(BundleError, match=rf"cannot read bank .*{path.name}: .*; ") as caught:
        Bank.load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("what", NO_FACES)
def test_what_is_no_face_is_refused(what: str, members: Members, tmp_path: Path) -> None:
    refused(write(tmp_path / "bad.bank", NO_FACES[what](members)))


def zipped(path: Path, members: Members, how: str) -> Path:
    """The whole bank in a way that no bank is packed."""
    method = {"bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}.get(how, zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
        if how == "twice":
            archive.writestr("neutral.npy", members["neutral.npy"])
    data = bytearray(path.read_bytes())
    if how == "encrypted":
        for at in places(data, b"PK\x01\x02"):
            data[at + 8] |= 1
    if how == "a million members":
        data[data.rfind(b"PK\x05\x06") + 10 :][:2] = b"\xff\xff"
        struct.pack_into("<HI", data, data.rfind(b"PK\x05\x06") + 10, 0xFFFF, 1 << 26)
    if how == "half of it":
        del data[len(data) // 2 :]
    path.write_bytes(data)
    return path


def places(data: bytes, what: bytes) -> list[int]:
    return [at for at in range(len(data)) if data[at : at + 4] == what]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("how", ["twice", "bzip2", "lzma", "encrypted", "a million members", "half of it"])
def test_an_archive_that_no_bank_is_is_refused(how: str, members: Members, tmp_path: Path) -> None:
    refused(zipped(tmp_path / "bad.bank", members, how))


def test_only_a_plain_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.bank"
    os.mkfifo(path)
    assert "it is a pipe" in refused(path)
    path.unlink()
    path.symlink_to("/dev/zero")
    assert "it is a device" in refused(path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert "it is larger than 64 MB" in refused(path)


def test_a_million_members_cost_nothing(tmp_path: Path) -> None:
    """The list at the archive's end alone: a million names take a gigabyte once they are read."""
    entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"x"
    count = 1_000_000
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(entry) * count, 0, 0)
    path = tmp_path / "bad.bank"
    path.write_bytes(entry * count + end)
    began_s = time.process_time()
    assert "too large" in refused(path)
    assert time.process_time() - began_s < 2


def test_a_good_bank_is_taken_and_draws(members: Members, tmp_path: Path) -> None:
    generator = MouthbankGenerator(identity=write(tmp_path / "me.bank", members))
    tracked = tracked_portrait()
    bank = generator.identity
    assert np.array_equal(bank.neutral, unpacked(members["neutral.npy"]))
    patch = generator.people.current.renderer.render(tracked, np.zeros((len(LOWER), 3), np.float32), 1.0, 0)
    assert patch is not None


def test_what_to_drop_is_chosen_as_quickly_as_it_is_added() -> None:
    """And is the less sharp of the two that are most alike."""
    rng = np.random.default_rng(0)
    lips = np.zeros((40, 2), np.float32)
    shapes = rng.normal(size=(CAPACITY, 40, 3)).astype(np.float32)
    bank = Bank(
        [Mouth(np.zeros((1, 1, 3), np.uint8), lips, shape, lips[0], 1.0 + k, 0.0) for k, shape in enumerate(shapes)]
    )
    twin = Mouth(bank.mouths[0].image, lips, shapes[30] + np.float32(0.01), lips[0], 0.5, 0.0)
    bank.mouths.append(twin)
    assert bank._most_redundant() == CAPACITY
    bank.mouths[-1].sharpness = 1e3
    assert bank._most_redundant() == 30


def test_faces_of_all_kinds_are_faces() -> None:
    rng = np.random.default_rng(0)

    for _ in range(50):
        face = TEMPLATE * rng.uniform(0.7, 1.4, 3).astype(np.float32) + rng.normal(0, 0.05, 3).astype(np.float32)
        bank_shapes.face(face)
