"""What a visitor may ask of the server at most, in one table.

Each is enforced before anything is allocated or waited for, so that no visitor costs another one his mouths.
"""

from __future__ import annotations

# Rooms.
MOST_ROOMS = 50  # each keeps two seconds of sound, and a name that anybody may choose
AWAY_S = 4.0  # of nothing from a sender: viewers are told, and another one may have the room
SILENT_MS = 900  # of no packet from an interpreter: another one may have the floor
