"""An avatar in one file: what shows the person, and nothing of what training left (``docs/avatar.md``).

The file is a zip of at most twelve files with fixed names. Whoever made it may be anybody: names, sizes and numbers are
checked, and what is unpacked is written anew from what was read. Networks alone are taken over as they are; a network
from elsewhere runs in a process of its own wherever it is opened (``inference/sandbox/``).
"""

from __future__ import annotations

import io
import json
import struct
import tempfile
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from realtime_dub.errors import BundleError
from realtime_dub.inference import bundle as bundles
from realtime_dub.inference.bundle import SPEC
from realtime_dub.mouth.avatar.folder import (
    ABOUT,
    MOST_ABOUT,
    MOST_PERSON,
    MOST_PLATE,
    PERSON,
    PICTURE,
    PLATE,
    arrays_of,
    read_about,
)
from realtime_dub.mouth.avatar.motion import EXPRESSION, HEAD
from realtime_dub.mouth.avatar.person import IDLE, MOST_BYTES, Person
from realtime_dub.paths import WholeFile, read_plain, reason

REST = "rest.png"
CONSENT, MOST_CONSENT = "consent.json", 4_000  # who agreed to it; whether that holds, ``trust/consent`` says
MOST_SPEC, MOST_NETWORK = 100_000, 300_000_000  # bytes; of the published size a picture net has 216 MB
MOST_SIDE = 2_048  # pixels of plate and rest
BY_ITSELF = (ABOUT, PERSON, PLATE, REST)
MOVING = (EXPRESSION, HEAD)  # an avatar of a short recording has none: it moves as recorded


def _network(part: str) -> str:
    return f"{part}/{part}.onnx"


MOST: dict[str, int] = {
    ABOUT: MOST_ABOUT,
    PERSON: MOST_PERSON,
    IDLE: MOST_BYTES,
    PLATE: MOST_PLATE,
    REST: MOST_PLATE,
    CONSENT: MOST_CONSENT,
    **{f"{part}/{SPEC}": MOST_SPEC for part in (PICTURE, *MOVING)},
    **{_network(part): MOST_NETWORK for part in (PICTURE, *MOVING)},
}
NEEDED = {*BY_ITSELF, f"{PICTURE}/{SPEC}", _network(PICTURE)}
MOTION = {IDLE, *(f"{part}/{SPEC}" for part in MOVING), *(_network(part) for part in MOVING)}
DAMAGES = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, ValueError, EOFError)
DO = "make the file with realtime-dub pack"


def pack(folder: Path, out: Path) -> None:
    """Write the avatar in ``folder`` to ``out``, whole or not at all. Raises BundleError, MediaError."""
    file = WholeFile(out)
    with tempfile.TemporaryDirectory(prefix="realtime-dub-") as place:
        clean = write_anew(folder, Path(place) / "avatar")  # nobody is given what nobody can use
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as packed:
            for name in MOST:
                if (clean / name).is_file():
                    packed.write(clean / name, name)
    file.write(data.getvalue())


def unpack(path: Path, folder: Path) -> Path:
    """Make ``folder``, an avatar, of the file ``path``. Raises BundleError, OSError; then there is no such folder."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="unpacked-") as place:
        try:
            with zipfile.ZipFile(path) as packed:
                _extract(packed, Path(place))
        except DAMAGES as error:
            raise BundleError("the file", f"is no avatar: {_why(error)}", DO) from None
        return write_anew(Path(place), folder)


def write_anew(source: Path, folder: Path) -> Path:
    """Copy what shows the avatar in ``source``, each file read, checked and made again. Raises BundleError."""
    about, arrays, moves = read_about(source), arrays_of(source), _moves(source)
    pictures = {name: _picture(source / name) for name in (PLATE, REST)}
    networks = {part: _read_network(source, part) for part in (PICTURE, *(MOVING if moves else ()))}
    folder.mkdir()
    (folder / ABOUT).write_text(about.model_dump_json(indent=1) + "\n", "utf-8")
    np.savez(folder / PERSON, **arrays)
    for name, data in pictures.items():
        (folder / name).write_bytes(data)
    for part, (spec, network) in networks.items():
        (folder / part).mkdir()
        (folder / part / SPEC).write_text(spec + "\n", "utf-8")
        (folder / _network(part)).write_bytes(network)
    if moves:
        Person.read(source).write(folder)
    if consent := _consent(source / CONSENT):
        (folder / CONSENT).write_bytes(consent)
    return folder


def _consent(path: Path) -> bytes:
    """As it stands, where it is a record at all: its seal is of these bytes."""
    with suppress(OSError, ValueError, RecursionError):
        found = read_plain(path, MOST_CONSENT)
        if isinstance(json.loads(found), dict):
            return found
    return b""


def _moves(folder: Path) -> bool:
    """It has a motion of its own. Raises BundleError for a part of one."""
    there = {name for name in MOTION if (folder / name).is_file()}
    if there and there != MOTION:
        raise BundleError("the avatar", f"is not whole: {min(MOTION - there)} is missing", DO)
    return bool(there)


def _extract(packed: zipfile.ZipFile, folder: Path) -> None:
    """Known names alone, each once, none longer than it may be, whatever the file says of itself."""
    names = [each.filename for each in packed.infolist()]
    if any(each.header_offset < 0 for each in packed.infolist()):  # the system's error would be of its disk, not of it
        raise BundleError("the file", "is no avatar: what it lists would begin before it does", DO)
    if strange := [name for name in names if name not in MOST]:
        raise BundleError("the file", f"is no avatar: there is {strange[0][:60]!r} in it", DO)
    if len(set(names)) < len(names):
        raise BundleError("the file", "is no avatar: a name is in it twice", DO)
    if missing := NEEDED - set(names):
        raise BundleError("the file", f"is no avatar: {min(missing)} is missing", DO)
    for entry in packed.infolist():
        with packed.open(entry) as stream:
            data = stream.read(MOST[entry.filename] + 1)
        if len(data) > MOST[entry.filename]:
            raise BundleError("the file", f"is no avatar: {entry.filename} is too large", DO)
        place = folder / entry.filename
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)


def _picture(path: Path) -> bytes:
    """A PNG, made again. Its head says how large it is before anything is decoded."""
    try:
        data = read_plain(path, MOST_PLATE)
    except OSError as error:
        raise BundleError("the avatar", f"is not whole: {path.name}: {reason(error)}", DO) from None
    sides = struct.unpack(">II", data[16:24]) if data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 24 else (0, 0)
    if not all(16 <= side <= MOST_SIDE for side in sides):
        raise BundleError("the avatar", f"has no picture of 16 to {MOST_SIDE} pixels in {path.name}", DO)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise BundleError("the avatar", f"has a damaged picture: {path.name}", DO)
    return bytes(cv2.imencode(".png", image)[1].tobytes())


def _read_network(folder: Path, part: str) -> tuple[str, bytes]:
    """Its spec and the network, which has the hash that the spec says."""
    spec = bundles.load(folder / part).spec
    if {spec.model, *spec.sha256} != {f"{part}.onnx"}:
        raise BundleError("the avatar", f"has other files in {part}/ than {part}.onnx", DO)
    return spec.model_dump_json(indent=1), read_plain(folder / _network(part), MOST_NETWORK)


def _why(error: BaseException) -> str:
    return str(error).splitlines()[0][:80] if str(error) else type(error).__name__
