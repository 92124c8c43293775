"""Libraries in machine code that wheels carry beside their Python: by the names of their files, with their licences.

A wheel's own metadata names the licence of its own code alone. What it was linked with lies in a folder ``NAME.libs``
(auditwheel, delvewheel) or ``.dylibs`` (delocate), as files such as ``libx264-d6533a8d.so.165``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

FOLDER = re.compile(r"\.(dy)?libs$")
NAME = re.compile(
    r"^(?:lib)?(.+?)(?:-[0-9a-f]{8})?(?:-[0-9a-f]{8})?(?:[-.]\d[\w.]*)?\.(?:so|dylib|dll)\b", re.IGNORECASE
)
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"  # a program that is built with GCC may have any licence
OR_GPL = "LGPL-3.0-or-later OR GPL-2.0-or-later"
UNKNOWN = "unknown"

# What begins so -> its licence, in SPDX's words. The longest that fits counts.
LICENCES = {
    "x264": "GPL-2.0-or-later",
    "x265": "GPL-2.0-or-later",
    "avcodec": "LGPL-2.1-or-later",
    "avdevice": "LGPL-2.1-or-later",
    "avfilter": "LGPL-2.1-or-later",
    "avformat": "LGPL-2.1-or-later",
    "avutil": "LGPL-2.1-or-later",
    "swresample": "LGPL-2.1-or-later",
    "swscale": "LGPL-2.1-or-later",
    "gmp": OR_GPL,
    "hogweed": OR_GPL,
    "nettle": OR_GPL,
    "unistring": OR_GPL,
    "gnutls": "LGPL-2.1-or-later",
    "asound": "LGPL-2.1-or-later",
    "mp3lame": "LGPL-2.0-or-later",
    "Qt5": "LGPL-3.0-only",
    "gfortran": GCC,
    "gomp": GCC,
    "quadmath": "LGPL-2.0-or-later",
    "EGL": "MIT",
    "GLESv2": "MIT",
    "GLdispatch": "MIT",
    "SvtAv1Enc": "BSD-3-Clause-Clear",
    "X11": "X11",
    "Xau": "MIT",
    "avif": "BSD-2-Clause",
    "brotli": "MIT",
    "crypto": "OpenSSL",
    "ssl": "OpenSSL",
    "dav1d": "BSD-2-Clause",
    "drm": "MIT",
    "freetype": "FTL OR GPL-2.0-or-later",
    "harfbuzz": "MIT",
    "jpeg": "IJG AND BSD-3-Clause",
    "lcms2": "MIT",
    "lzma": "0BSD",
    "opencore-amr": "Apache-2.0",
    "openblas": "BSD-3-Clause",
    "scipy_openblas": "BSD-3-Clause",
    "openjp2": "BSD-2-Clause",
    "opus": "BSD-3-Clause",
    "png": "libpng-2.0",
    "sharpyuv": "BSD-3-Clause",
    "tiff": "libtiff",
    "vpl": "MIT",
    "vpx": "BSD-3-Clause",
    "webp": "BSD-3-Clause",
    "xcb": "MIT",
    "xkbcommon": "MIT",
    "zstd": "BSD-3-Clause OR GPL-2.0-only",
}


def licence_of(name: str) -> str:
    """Of a library by its plain name, such as ``x264``; ``unknown`` where the table has it not."""
    fitting = [begin for begin in LICENCES if name.lower().startswith(begin.lower())]
    return LICENCES[max(fitting, key=len)] if fitting else UNKNOWN


def carried(files: Iterable[str]) -> dict[str, str]:
    """Of a distribution's ``files``: the libraries that lie in its folder for them, each with its licence."""
    paths = [PurePosixPath(each) for each in files if "libs/" in each]
    found = (NAME.match(path.name) for path in paths if any(FOLDER.search(part) for part in path.parts[:-1]))
    return {name: licence_of(name) for name in sorted({match[1] for match in found if match})}
