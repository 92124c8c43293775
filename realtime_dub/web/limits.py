"""What a visitor may ask of the server at most, in one table.

Each is enforced before anything is allocated or waited for, so that no visitor costs another one his mouths.
"""

from __future__ import annotations
