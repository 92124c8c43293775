"""What a run keeps of an engine's landmarks: in a file, drawn as a video, as a curve of how far the mouth opens."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from realtime_dub.config import FileConfig
from realtime_dub.errors import ConfigError
from realtime_dub.face import landmark_files
from realtime_dub.face.drawing68 import Curve, drawn, plotted
from realtime_dub.face.landmark_files import Landmarks
from realtime_dub.face.types import Points
from realtime_dub.media import NS, OutputFormat, Tick
from realtime_dub.mouth.contract import GivesLandmarks, MouthGenerator
from realtime_dub.paths import WholeFile
from realtime_dub.publishers.base import Publisher

PICTURES = (".png", ".jpg", ".jpeg")


class LandmarkOutputs:
    """The outputs that were asked for. ``preview``: where drawings go, if they do; opened and closed here."""

    def __init__(self, config: FileConfig, generator: MouthGenerator, preview: Publisher | None) -> None:
        """Raises ConfigError where the engine gives no landmarks or a name is none, MediaError as files do."""
        asked = config.save_landmarks, config.preview, config.openness
        if any(each is not None for each in asked) and not isinstance(generator, GivesLandmarks):
            raise ConfigError("no landmarks come from", f"engine {config.engine}", "choose another --engine")
        if config.save_landmarks is not None:
            landmark_files.check_name(config.save_landmarks)
        self._plot = None if config.openness is None else WholeFile(picture(config.openness))
        self._save, self._preview, self._open = config.save_landmarks, preview, False
        self._source = {
            "video": str(config.input),
            "voice": str(config.input) if config.mic == "video" else str(config.mic),
            "engine": config.engine,
            "weights": generator.bundle,
        }
        self._times_ns: list[int] = []
        self._points: list[Points] = []

    def begin(self, output: OutputFormat) -> None:
        if self._preview is not None:
            self._preview.open(output)
            self._open = True

    def add(self, tick: Tick, landmarks: Points | None) -> None:
        """``landmarks`` (68, 2) of the tick's mouth, pixels; None where there is no face."""
        if self._preview is not None:
            height, width = tick.image.shape[:2]
            image = drawn(landmarks, width, height)
            self._preview.publish(Tick(image, tick.pts_ns, tick.duration_ns, tick.seq, tick.audio))
        if self._save is not None or self._plot is not None:
            self._times_ns.append(tick.pts_ns)
            self._points.append(np.full((68, 2), np.nan, np.float32) if landmarks is None else landmarks)

    def close(self) -> None:
        """However the run ends: drawings play, and what there is so far is written. Raises MediaError."""
        if self._open and self._preview is not None:
            self._open = False
            self._preview.close()
        if not self._times_ns:
            return
        found = Landmarks(np.array(self._times_ns) / NS, np.stack(self._points), self._source)
        self._times_ns = []
        if self._save is not None:
            landmark_files.write(self._save, found)
        if self._plot is not None:
            curve = {Path(self._source["voice"]).name: (found.times_s, found.openness)}
            write_plot(self._plot, curve)


def picture(path: Path) -> Path:
    """Raises ConfigError for what is no picture's name."""
    if path.suffix.lower() not in PICTURES:
        raise ConfigError("a plot is an image, not", repr(str(path)), "use a name such as openness.png")
    return path


def write_plot(file: WholeFile, curves: Mapping[str, Curve]) -> None:
    """Raises MediaError where it cannot be written."""
    done, coded = cv2.imencode(file.path.suffix.lower(), plotted(curves))
    assert done, "an 8-bit picture can always be coded"
    file.write(coded.tobytes())
