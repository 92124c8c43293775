"""The stages of ``train-engine avatar``: from a recording of one person to what shows them with any voice."""

from __future__ import annotations

from engines.avatar import motion, picture
from engines.avatar.recording import of_film
from engines.common.engine import Stage

__all__ = ["FILM", "STAGES", "of_film"]

FILM = "data"  # the folder of the run that the recording is cut up into
STAGES = {
    "motion": Stage(motion.Settings, motion.Motion),
    "picture": Stage(picture.Settings, picture.PictureEngine),  # last: an avatar that has it is whole
}
