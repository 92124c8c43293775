"""High dynamic range and wide colour brought to what every screen shows: BT.709 colours, light up to a white.

FFmpeg's own conversion takes seconds to start, so the curve is ours and FFmpeg looks it up: a cube of 65 steps a side,
which it interpolates. Light is in units of the reference white, 203 cd/m2 (ITU-R BT.2408).
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorTrc

from realtime_dub.sources.geometry import filter_graph

STEPS = 65  # within a level of the exact curve
WHITE_NITS, PEAK_NITS = 203.0, 1000.0  # what is brighter than the peak is white
Light = npt.NDArray[np.float64]  # (..., 3) linear RGB
Curve = Literal["PQ", "HLG", "gamma"]
CURVES: dict[int, Curve] = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}
# To linear BT.709, white D65: BT.2087; Display P3 (SMPTE EG 432-1) likewise from its primaries.
BT2020_TO_BT709 = ((1.6605, -0.5876, -0.0728), (-0.1246, 1.1329, -0.0083), (-0.0182, -0.1006, 1.1187))
P3_TO_BT709 = ((1.2249, -0.2247, 0.0), (-0.0420, 1.0419, 0.0), (-0.0197, -0.0786, 1.0979))
WIDE = {int(ColorPrimaries.BT2020): BT2020_TO_BT709, int(ColorPrimaries.SMPTE432): P3_TO_BT709}
BT2020_WEIGHTS = (0.2627, 0.6780, 0.0593)
BT709_WEIGHTS = (0.2126, 0.7152, 0.0722)
Kind = tuple[Curve, int]


def kind_of_light(frame: Any) -> Kind | None:
    """The curve and the primaries of a frame whose light has to be converted; None for all others."""
    curve, primaries = CURVES.get(frame.color_trc), frame.color_primaries
    if curve is not None:
        return curve, primaries if primaries in WIDE else int(ColorPrimaries.BT2020)
    return ("gamma", primaries) if primaries in WIDE else None


class Toner:
    """Converts planar RGB of 16 bits a colour, ``gbrp16le`` or ``gbrap16le``, of one kind of light."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._graph: Any = None
        self._layout: object = None

    def __call__(self, frame: Any) -> Any:
        layout = frame.width, frame.height, frame.format.name
        if layout != self._layout:
            self._graph, self._layout = self._made_for(frame)
        self._graph.push(frame)
        return self._graph.pull()

    def _made_for(self, frame: Any) -> tuple[Any, object]:
        with tempfile.TemporaryDirectory(prefix="realtime-dub-") as folder:
            path = Path(folder) / "tone.cube"  # the filter takes it from a file alone, and reads that at once
            path.write_text(cube_text(self._kind))
            return filter_graph(frame, "lut3d", {"file": str(path)})


@functools.cache
def cube_text(kind: Kind) -> str:
    """The table in Adobe's .cube format: red changes first."""
    steps = np.linspace(0, 1, STEPS)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    values = to_screen(np.stack([red, green, blue], -1).reshape(-1, 3), kind)
    rows = "\n".join(f"{r:.5f} {g:.5f} {b:.5f}" for r, g, b in values.tolist())
    return f"LUT_3D_SIZE {STEPS}\n{rows}\n"


def to_screen(code: Light, kind: Kind) -> Light:
    """Coded values 0..1 of that kind of light as sRGB values 0..1."""
    curve, primaries = kind
    light = {"PQ": from_pq, "HLG": from_hlg, "gamma": from_srgb}[curve](code)
    if curve != "gamma":
        light = rolled_off(light)
    return to_srgb(into_gamut(light @ np.array(WIDE[primaries]).T))


def from_pq(code: Light) -> Light:
    """SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = code ** (1 / m2)
    nits: Light = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return nits / WHITE_NITS


def to_pq(light: Light) -> Light:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = (np.maximum(light, 0) * WHITE_NITS / 10_000) ** m1
    code: Light = ((c1 + c2 * root) / (1 + c3 * root)) ** m2
    return code


def from_hlg(code: Light) -> Light:
    """ARIB STD-B67 on a screen of 1,000 cd/m2: ITU-R BT.2100's inverse curve, then the screen's (gamma 1.2)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    luminance = scene @ np.array(BT2020_WEIGHTS)
    shown: Light = scene * luminance[..., None] ** 0.2 * (PEAK_NITS / WHITE_NITS)
    return shown


def rolled_off(light: Light) -> Light:
    """Light up to the peak brought below white by ITU-R BT.2390's curve: the dark and middle tones stay as they are.

    All three colours are scaled by what becomes of the strongest, so that hues stay.
    """
    strongest = np.maximum(light.max(-1, keepdims=True), 1e-6)
    peak = float(to_pq(np.array(PEAK_NITS / WHITE_NITS)))
    most = float(to_pq(np.array(1.0))) / peak
    knee = 1.5 * most - 0.5
    level = np.minimum(to_pq(strongest) / peak, 1)
    t = (level - knee) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    target = from_pq(np.where(level < knee, level, curve) * peak)
    scaled: Light = light * (target / strongest)
    return scaled


def into_gamut(light: Light) -> Light:
    """Colours that the screen does not have moved towards grey of their own brightness, until it has them."""
    grey = np.clip(light @ np.array(BT709_WEIGHTS), 0, 1)[..., None]
    lowest, highest = light.min(-1, keepdims=True), light.max(-1, keepdims=True)
    low = np.where(lowest < 0, grey / np.maximum(grey - lowest, 1e-9), 1)
    high = np.where(highest > 1, (1 - grey) / np.maximum(highest - grey, 1e-9), 1)
    inside: Light = grey + (light - grey) * np.minimum(low, high)
    return np.clip(inside, 0, 1)


def from_srgb(code: Light) -> Light:
    light: Light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    return light


def to_srgb(light: Light) -> Light:
    code: Light = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return code
