"""One picture out of the bytes of a file, as it is meant to be seen."""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from PIL import Image as Pil
from PIL import ImageCms, ImageFile, ImageOps

from realtime_dub.bounds import MOST_PIXELS
from realtime_dub.errors import MediaError
from realtime_dub.media import BLACK, Colour, Image
from realtime_dub.sources.avinput import decode, decoder_of, picture_stream, refuse_too_large
from realtime_dub.sources.heif import find_item
from realtime_dub.sources.kinds import HEAD_BYTES, brands
from realtime_dub.sources.opening import open_alone, read_bytes
from realtime_dub.sources.to_bgr import ToBgr, over

Pil.init()
# What carries pictures and nothing else, as far as this Pillow has it; some of the others it hands to programs.
KNOWN = (
    *("JPEG", "PNG", "WEBP", "AVIF", "GIF", "TIFF", "BMP", "DIB", "PPM", "JPEG2000", "TGA", "ICO", "QOI", "PCX", "PSD"),
    *("SGI", "SUN", "DDS"),
)
FORMATS = tuple(name for name in KNOWN if name in Pil.OPEN)
ADVICE = "choose a JPEG, PNG, WebP, AVIF, HEIC, BMP or TIFF"
NO_MEMORY = "there is not enough memory for it"
CUT_SHORT = "is cut short or damaged: a part of the picture is missing"
NO_PICTURE = "it is not a picture, or it is damaged"
# What damaged bytes lead Pillow, FFmpeg and the parsing to.
DAMAGES = (
    *(av.FFmpegError, OSError, EOFError, ValueError, SyntaxError, LookupError, ArithmeticError),
    *(struct.error, ImageCms.PyCMSError),
)
MOST_BYTES = 8 * MOST_PIXELS  # four colours of 16 bits, as they are
HDR_CURVES = (16, 18)  # PQ and HLG in ITU-T H.273


def bytes_of(path: Path) -> bytes:
    """All of a file that holds pictures. Raises MediaError, before it is read for one that is too large for any."""
    with suppress(OSError, ValueError):  # told when it is opened
        if path.stat().st_size > MOST_BYTES:
            raise MediaError("cannot use", f"{path}: the file is too large for a picture", ADVICE)
    return read_bytes(path, "choose a picture")


def read_still(data: bytes, shown: str, background: Colour = BLACK, enough: int | None = None) -> tuple[Image, str]:
    """The picture, (height, width, 3), and what there is to say of it: upright, opaque, 8 bits, sRGB.

    ``enough``: pixels of its longer side that will do; a larger one is made smaller as early as can be, a JPEG by its
    decoder, but not smaller than that. Raises MediaError, before it is decoded for one of too many pixels.
    """
    claimed = brands(data[:HEAD_BYTES])
    by_pillow = not claimed or (b"avif" in claimed and "AVIF" in FORMATS and _curve(data) not in HDR_CURVES)
    try:
        return _by_pillow(data, shown, background, enough) if by_pillow else _by_ffmpeg(data, shown, background, enough)
    except MemoryError as error:
        raise MediaError("cannot read", f"{shown}: {NO_MEMORY}", "make it smaller first") from error


def _curve(data: bytes) -> int:
    """The transfer characteristics that an ISO file names first."""
    at = data.find(b"colrnclx")
    return 0 if at < 0 else int.from_bytes(data[at + 10 : at + 12], "big")


def _by_pillow(data: bytes, shown: str, background: Colour, enough: int | None) -> tuple[Image, str]:
    note = ""
    try:
        picture = _drafted(opened(data, shown), enough)
        try:
            picture.load()
        except OSError:  # damaged or cut short; what can be read is worth showing
            picture, note = _what_is_there(data, shown, enough), CUT_SHORT
        picture = _reduced(picture, enough)
        return to_bgr(ImageOps.exif_transpose(picture), shown, background), note
    except DAMAGES as error:
        raise MediaError("cannot read", f"{shown}: {NO_PICTURE}", ADVICE) from error


def _times(picture: Any, enough: int | None) -> int:
    """How often a side of so many pixels goes into this one."""
    return 1 if enough is None else max(1, max(picture.size) // enough)


def _drafted(picture: Any, enough: int | None) -> Any:
    """One that its decoder makes smaller, where it can (JPEG)."""
    if (by := _times(picture, enough)) > 1:
        picture.draft(None, tuple(max(1, side // by) for side in picture.size))
    return picture


def _reduced(picture: Any, enough: int | None) -> Any:
    """By a whole number, so that what is made of it afterwards is small."""
    by = _times(picture, enough)
    if by < 2 or picture.mode.startswith(("I;", "F")):
        return picture
    known = picture.info
    many = {"1": "L", "P": "RGBA", "PA": "RGBA"}.get(picture.mode, picture.mode)
    smaller = (picture if many == picture.mode else picture.convert(many)).reduce(by)
    smaller.info = {name: each for name, each in known.items() if name != "transparency" or many == picture.mode}
    return smaller


def opened(data: bytes, shown: str) -> Any:
    """Pillow's picture, not decoded yet. Raises MediaError for one of too many pixels, and what Pillow raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Pil.DecompressionBombWarning)
            picture = Pil.open(io.BytesIO(data), formats=FORMATS)
    except (Pil.DecompressionBombWarning, Pil.DecompressionBombError) as error:
        what = f"{shown}: its pixels are more than {MOST_PIXELS // 1_000_000} million"
        raise MediaError("cannot use", what, "make it smaller first") from error
    refuse_too_large(*picture.size, shown)
    return picture


def _what_is_there(data: bytes, shown: str, enough: int | None) -> Any:
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, True
    try:
        picture = _drafted(opened(data, shown), enough)
        picture.load()
        return picture
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def to_bgr(picture: Any, shown: str, background: Colour) -> Image:
    """Of a picture that Pillow has decoded. Raises MediaError for one without a brightness."""
    if picture.mode == "F":
        raise MediaError(
            "cannot use", f"{shown}: its pixels are fractions, of unknown brightness", "save it with 8 or 16 bits"
        )
    if picture.mode.startswith("I"):
        grey = np.asarray(picture).astype(np.int64).clip(0, 65_535)
        grey8 = grey if grey.max() < 256 and picture.mode == "I" else (grey * 255 + 32_767) // 65_535
        return np.repeat(grey8.astype(np.uint8)[..., None], 3, 2)
    if not picture.has_transparency_data:
        return np.ascontiguousarray(np.asarray(_in_srgb(picture))[..., ::-1])
    alpha = np.asarray(picture.convert("RGBA"))[..., 3:]
    return over(np.concatenate([np.asarray(_in_srgb(picture))[..., ::-1], alpha], -1), background)


def _in_srgb(picture: Any) -> Any:
    """As RGB, its colours brought from the profile that it carries, where that is of another kind."""
    plain = picture.convert("RGB")
    if profile := picture.info.get("icc_profile"):
        with suppress(ImageCms.PyCMSError, OSError, ValueError, TypeError):  # nobody is kept out by a bad profile
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            if "sRGB" not in ImageCms.getProfileDescription(source):
                own = picture if picture.mode == source.profile.xcolor_space.strip() else plain
                return ImageCms.profileToProfile(own, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    return plain


def _by_ffmpeg(data: bytes, shown: str, background: Colour, enough: int | None) -> tuple[Image, str]:
    """HEIC, and AVIF of high dynamic range."""
    try:
        item = find_item(data)
        if item is not None:
            refuse_too_large(*item.size, shown)
        with open_alone(io.BytesIO(data)) as container:
            streams = {each.id: each for each in container.streams.video}
            if item is None or not set(item.tiles) <= set(streams):
                return _decoded(container, picture_stream(container, shown), background), ""
            by = 1 if enough is None else max(1, max(item.size) // enough)
            by = 1 << by.bit_length() - 1  # of which tiles are multiples
            tiles = [shrunk(_decoded(container, streams[tile], background), by) for tile in item.tiles]
            image = replace(item, size=(item.size[0] // by, item.size[1] // by)).assembled(tiles)
    except DAMAGES as error:
        raise MediaError("cannot read", f"{shown}: {NO_PICTURE}", ADVICE) from error
    if item.profile is None:
        return image, ""
    picture = Pil.fromarray(image[..., ::-1])
    picture.info["icc_profile"] = item.profile
    return np.ascontiguousarray(np.asarray(_in_srgb(picture))[..., ::-1]), ""


def shrunk(image: Image, by: int) -> Image:
    """One in ``by`` pixels each way."""
    if by < 2:
        return image
    size = max(1, image.shape[1] // by), max(1, image.shape[0] // by)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def _decoded(container: Any, stream: Any, background: Colour) -> Image:
    """A stream's first picture. Raises LookupError where there is none."""
    decoder = decoder_of(stream)
    container.seek(0)
    for frame in decode(container, stream, decoder, damaged=lambda _: None):
        return ToBgr(stream, decoder, background)(frame)[0]
    raise LookupError("no picture")
