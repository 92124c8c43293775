"""What an aligner heard, in the phonemes that a script is read as.

An aligner's dictionary and espeak-ng do not spell a word alike. A voice is given scripts as espeak-ng reads them, so it
has to learn from such; when each phoneme is said is the aligner's to tell.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engines.common import Array

GAP, UNLIKE = 0.8, 1.0  # what a phoneme costs that the other has not, or has another one for


def moved(places: Array, heard: Array, written: Array, silent: int) -> Array:
    """Places (t,) in the phonemes ``heard`` (p,) as places in those ``written`` (q,); -1 stays.

    A pause that the script has not is in no place of it; any other phoneme that it has not belongs to the one before.
    """
    own = matched(heard.tolist(), written.tolist(), silent)
    pauses = {k for k, number in enumerate(heard.tolist()) if number == silent and own[k] is None}
    to, last = np.full(len(heard) + 1, -1), 0
    for k, place in enumerate(own):
        last = last if place is None else place
        to[k] = -1 if k in pauses else last
    return to[places]  # -1 is the last one, which is -1


def matched(heard: Sequence[int], written: Sequence[int], silent: int) -> list[int | None]:
    """For each phoneme that was heard the one that is written for it, by the fewest changes (Levenshtein); a pause is
    no phoneme's.
    """

    def unlike(one: int, other: int) -> float:
        return 0.0 if one == other else 2 * GAP + UNLIKE if silent in (one, other) else UNLIKE

    cost = np.add.outer(np.arange(len(heard) + 1), np.arange(len(written) + 1)) * GAP
    for i, one in enumerate(heard, 1):
        for j, other in enumerate(written, 1):
            same = cost[i - 1, j - 1] + unlike(one, other)
            cost[i, j] = min(same, cost[i - 1, j] + GAP, cost[i, j - 1] + GAP)
    own: list[int | None] = [None] * len(heard)
    i, j = len(heard), len(written)
    while i and j:
        if np.isclose(cost[i, j], cost[i - 1, j - 1] + unlike(heard[i - 1], written[j - 1])):
            i, j = i - 1, j - 1
            own[i] = j
        elif np.isclose(cost[i, j], cost[i - 1, j] + GAP):
            i -= 1
        else:
            j -= 1
    return own
