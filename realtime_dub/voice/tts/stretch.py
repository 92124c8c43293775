"""Speech whose time runs as a map says, at its own pitch: WSOLA (Verhelst and Roelands 1993)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from realtime_dub.media import Floats

WINDOW_S = 0.030
SEARCH_S = 0.008  # either way: more than half a period of a deep voice


def stretched(samples: Floats, rate: int, times: npt.NDArray[np.float64], places: npt.NDArray[np.float64]) -> Floats:
    """``samples`` (n,) so that what was at ``times[k]`` s is at ``places[k]`` s; both rise, ``places`` from 0 on.

    The result is (m,), as long as the last place says.
    """
    half = round(WINDOW_S * rate / 2)
    count = round(float(places[-1]) * rate)
    search = round(SEARCH_S * rate)
    padded = np.pad(samples.astype(np.float32), (half + search, 3 * half + 2 * search))
    out = np.zeros(count + 2 * half, np.float32)
    window = np.hanning(2 * half + 1)[:-1].astype(np.float32)
    wanted = None  # how the speech would go on from the piece before
    for at in range(0, count + half, half):
        place = np.interp(at / rate, places, times) * rate
        begin = min(round(float(place)) + search, len(padded) - 3 * half - search)
        if wanted is not None:
            begin += _most_alike(padded[begin - search : begin + search + 2 * half], wanted) - search
        out[at : at + 2 * half] += (window * padded[begin : begin + 2 * half])[: len(out) - at]
        wanted = padded[begin + half : begin + 3 * half]
    return out[half : half + count]


def _most_alike(within: Floats, wanted: Floats) -> int:
    """Where in ``within`` the piece ``wanted`` is most nearly found."""
    products = np.correlate(within, wanted, "valid")
    energies = np.convolve(within**2, np.ones(len(wanted), np.float32), "valid")
    return int(np.argmax(products / np.sqrt(np.maximum(energies, 1e-9))))
