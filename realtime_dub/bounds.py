"""What a file may declare at most, in one table. More is damage, or meant to fill the memory.

Each is looked at before anything of that size is allocated. What a visitor of a server may send is less, and is in
``web/limits.py``.
"""

from __future__ import annotations

MOST_PIXELS = 8192 * 8192  # of a picture or a film's frame: 200 MB in three colours
LOWEST_RATE, HIGHEST_RATE = 4_000, 384_000  # Hz; of less, nobody speaks with
MOST_CHANNELS = 64
