"""MediaPipe's models: the one module that knows it, so that it can be exchanged.

The mesh gives landmarks of the faces in a frame, or in a part of it; the detector finds faces.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.resources import files
from typing import Any, TypeAlias

import cv2
import numpy as np

from realtime_dub.face.areas import Area
from realtime_dub.face.types import Points
from realtime_dub.fitting import shrunk
from realtime_dub.imports import NOT_FOR_MEDIAPIPE, left_out
from realtime_dub.media import Floats, Image
from realtime_dub.quiet import quiet

with left_out(*NOT_FOR_MEDIAPIPE):
    from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
    from mediapipe.python import ImageFormat, packet_creator, packet_getter
    from mediapipe.python.solution_base import PacketDataType, SolutionBase
    from mediapipe.python.solutions.face_detection import FaceDetection

Box: TypeAlias = tuple[float, float, float, float]  # x, y, width, height as shares of the image
Size: TypeAlias = tuple[int, int]  # width, height; or x, y

_NOBODY = np.zeros((64, 64, 3), np.uint8)
NOISY_FRAMES = 2  # MediaPipe logs while it starts its detector, then its landmark model
MAX_SIDE_PX = 1280  # larger pictures are made smaller first: the landmark model looks at 192 pixels of a face anyway
ENOUGH_SIDE_PX = 960  # of a picture, and
ENOUGH_FACE_PX = 128  # of a face's height, in which the models find as much as in more
_GRAPH = "modules/face_landmark/face_landmark_front_cpu.binarypb"
_FACES = "multi_face_landmarks"
_STEP_US = 33_333  # from picture to picture; the graph asks for times that rise, and for nothing else of them
_POINTS = 478
_COORDINATES = np.array([3, 4, 5, 6, 8, 9, 10, 11, 13, 14, 15, 16])  # where the floats of a landmark are, of its bytes
_LANDMARK_BYTES = 17


def reduction(side_px: int, face_px: float | None = None) -> float:
    """How many times smaller a picture with this longer side is looked at; a whole number, but for very large ones.

    Where ``face_px`` is not known, the detector's own small copy decides what is found.
    """
    enough = side_px // ENOUGH_SIDE_PX
    if face_px is not None:
        enough = min(enough, int(face_px / ENOUGH_FACE_PX))
    return max(1.0, enough, side_px / MAX_SIDE_PX)


class Mesh:
    """Looks where faces were in the last picture, and for others."""

    def __init__(self, most: int) -> None:
        with quiet():
            self._mesh: _Graph | None = _Graph(most)
            self._mesh.faces_in(_NOBODY)  # loads the models now, not in the first frame
        self._found_before = 0
        self._rgb: Image | None = None

    def find(
        self, image: Image, area: Area | None = None, face_px: float | None = None, *, searches: bool = True
    ) -> list[Points]:
        """The faces in ``image``, or in that ``area`` of it; each (478, 3), pixels of the whole.

        ``face_px``: how high the smallest one is that matters, where that is known. ``searches``: for faces that were
        not in the last picture, too, which is a quarter of the work; without, the others are found as they are with it.
        """
        if self._mesh is None:
            return []
        part = image if area is None else area.of(image)
        height, width = part.shape[:2]
        looked_at = self._prepared(part, face_px)
        with quiet() if self._found_before < NOISY_FRAMES else contextlib.nullcontext():
            found = self._mesh.faces_in(looked_at, searches)
        self._found_before += bool(found)
        # MediaPipe gives shares of the picture's size, z in units of its width. Its pixels lie at whole numbers: those
        # of a smaller copy are the middles of what they were made of.
        corner = (0, 0) if area is None else (area.x, area.y)
        scale, shift = _from_shares((width, height), (looked_at.shape[1], looked_at.shape[0]), corner)
        return [_points_of(face) * scale + shift for face in found]

    def forget(self) -> None:
        """The next frame is of another film: look for faces anew."""
        if self._mesh is not None:
            with quiet():
                self._mesh.faces_in(_NOBODY)

    def close(self) -> None:
        """Release the model."""
        if self._mesh is not None:
            self._mesh.close()
            self._mesh = None

    def _prepared(self, image: Image, face_px: float | None) -> Image:
        """In RGB and not too large; the array is used again for the next picture."""
        factor = reduction(max(image.shape), face_px)
        if factor > 1:
            image = shrunk(image, (max(1, round(image.shape[1] / factor)), max(1, round(image.shape[0] / factor))))
        if self._rgb is None or self._rgb.shape != image.shape:
            self._rgb = np.empty(image.shape, np.uint8)
        cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=self._rgb)
        return self._rgb


@lru_cache(maxsize=4)
def _from_shares(size: Size, looked_at: Size, corner: Size) -> tuple[Floats, Floats]:
    """What shares of a part of a picture (3,) are multiplied by, and what is added, to get pixels of the whole."""
    middle = ((size[0] / looked_at[0] - 1) / 2, (size[1] / looked_at[1] - 1) / 2, 0)
    shift = np.array([*corner, 0]) + middle
    return np.array([size[0], size[1], size[0]], np.float32), shift.astype(np.float32)


class _Graph(SolutionBase):  # type: ignore[misc]
    """MediaPipe's own graph of the face mesh, whose detector looks at those pictures alone that ``searches`` allows.

    As it comes it looks at each picture in which there are fewer faces than there may be: at every one.
    """

    def __init__(self, most: int) -> None:
        super().__init__(
            graph_config=_gated(),
            side_inputs={"num_faces": most, "with_attention": True, "use_prev_landmarks": True},
            outputs=[_FACES],
            stream_type_hints={"searches": PacketDataType.BOOL},
        )

    def faces_in(self, rgb: Image, searches: bool = True) -> Sequence[Any]:
        """Their landmarks, as MediaPipe gives them. Its own ``process`` makes a type of Python's for each result.

        ``rgb`` is copied: of an array that it only refers to, MediaPipe lets go on a thread without the interpreter.
        """
        self._graph_outputs.clear()
        self._simulated_timestamp += _STEP_US
        packets = {
            "image": packet_creator.create_image_frame(rgb, image_format=ImageFormat.SRGB, copy=True),
            "searches": packet_creator.create_bool(searches),
        }
        for stream, packet in packets.items():
            self._graph.add_packet_to_input_stream(stream, packet.at(self._simulated_timestamp))
        self._graph.wait_until_idle()
        found = self._graph_outputs.get(_FACES)
        return () if found is None or found.is_empty() else packet_getter.get_proto_list(found)


def _gated() -> Any:
    graph = CalculatorGraphConfig()
    graph.ParseFromString(files("mediapipe").joinpath(_GRAPH).read_bytes())
    gate = next(node for node in graph.node if "DISALLOW:prev_has_enough_faces" in node.input_stream)
    gate.input_stream[list(gate.input_stream).index("image")] = "searched_image"
    streams = {"input_stream": ["image", "ALLOW:searches"], "output_stream": ["searched_image"]}
    graph.node.add(calculator="GateCalculator", **streams)
    graph.input_stream.append("searches")
    # On the thread that waits for the result: MediaPipe's own two hand each step of a frame to one another.
    graph.executor.add(name="", type="ApplicationThreadExecutor")
    return graph


def _points_of(face: Any) -> Points:
    """A face's landmarks (478, 3) as shares. Taken from their bytes: Python takes 0.3 ms to ask for each number."""
    coded = face.SerializeToString()
    if len(coded) != _POINTS * _LANDMARK_BYTES:  # they say how sure they are, too
        return np.array([(p.x, p.y, p.z) for p in face.landmark], np.float32)
    numbers = np.frombuffer(coded, np.uint8).reshape(_POINTS, _LANDMARK_BYTES).take(_COORDINATES, axis=1)
    return np.asarray(numbers.view("<f4"), np.float32)


class Detector:
    """Finds faces of at least a fifth of an image's height."""

    def __init__(self) -> None:
        with quiet():
            self._detector: FaceDetection | None = FaceDetection(model_selection=0)
            self._detector.process(_NOBODY)

    def find(self, image: Image) -> list[Box]:
        """Where in ``image`` (height, width, 3) BGR they are."""
        if self._detector is None:
            return []
        found = self._detector.process(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)).detections or ()
        boxes = (each.location_data.relative_bounding_box for each in found)
        return [(box.xmin, box.ymin, box.width, box.height) for box in boxes]

    def close(self) -> None:
        """Release the model."""
        if self._detector is not None:
            self._detector.close()
            self._detector = None
