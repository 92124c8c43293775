"""What an avatar does with a voice, as a moving drawing of lines, before any picture is trained.

``python -m engines.common.avatar_preview me.avatar --mic voice.wav --draw out.mp4 [--sheet out.png]``
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import av
import cv2
import numpy as np
import numpy.typing as npt
import typer

from engines.common import Array, command
from engines.common.prepare.clip import read_sound
from engines.common.rates import STEADY_FPS
from engines.common.speech.corpus import RATE
from realtime_dub.face.alignment import project
from realtime_dub.face.landmarks import JAW, LIPS_INNER, LIPS_OUTER
from realtime_dub.media import NS, samples_to_ns
from realtime_dub.mouth.avatar.motion import AvatarMotion
from realtime_dub.mouth.avatar.pose import AvatarPose
from realtime_dub.paths import Use, refuse_clashes

SIZE = 384  # pixels a side
FACE = 0.7  # of the side, that the face is high
BLOCK = RATE // 10  # samples that are heard at once
SHEET = (4, 6)  # rows and columns
INK, FAINT = (60, 40, 30), (205, 200, 195)  # BGR
RIGHT_EYE = np.array([33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7])
LEFT_EYE = np.array([263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249])
BROWS = (np.array([70, 63, 105, 66, 107]), np.array([300, 293, 334, 296, 336]))
NOSE = (np.array([168, 6, 197, 195, 5, 4]), np.array([98, 97, 2, 326, 327]))
TEMPLES = np.array([361, 323, 454, 356, 389, 251, 284, 332, 297, 338, 10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132])
OUTLINES = (LIPS_OUTER, LIPS_INNER, RIGHT_EYE, LEFT_EYE, np.concatenate([JAW, TEMPLES[1:-1]]))
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def poses_of(folder: Path, sound: Array, seed: int = 0) -> list[AvatarPose]:
    """What the avatar does at 25 frames a second with a sound (n,) at 16 kHz."""
    motion = AvatarMotion(folder, seed=seed)
    count = len(sound) * STEADY_FPS // RATE
    found: list[AvatarPose] = []
    whole = np.concatenate([sound, np.zeros(RATE, np.float32)])
    for start in range(0, len(whole), BLOCK):
        motion.hear(whole[start : start + BLOCK], samples_to_ns(start, RATE))
        while len(found) < count and (at := len(found) * NS // STEADY_FPS) <= motion.heard_until_ns():
            found.append(motion.at(at))
    return found


def drawn(points: Array) -> npt.NDArray[np.uint8]:
    """A face (478, 3) in pixels as lines (SIZE, SIZE, 3) BGR."""
    picture = np.full((SIZE, SIZE, 3), 255, np.uint8)
    for x, y in points[:468, :2]:
        cv2.circle(picture, (round(float(x) * 16), round(float(y) * 16)), 12, FAINT, -1, cv2.LINE_AA, 4)
    for lines, closed in ((OUTLINES, True), ((*BROWS, *NOSE), False)):
        for line in lines:
            corners = np.rint(points[line, :2] * 16).astype(np.int32)
            cv2.polylines(picture, [corners], closed, INK, 1, cv2.LINE_AA, 4)
    return picture


def fitted(poses: Sequence[AvatarPose]) -> list[Array]:
    """Faces (478, 3) of a run, all of them moved and scaled alike, so that the usual one is in the middle."""
    faces = [project(pose.canonical, pose.pose) for pose in poses]
    usual = np.median(np.stack(faces[:: max(1, len(faces) // 50)]), axis=0)
    low, high = usual[:468].min(0), usual[:468].max(0)
    scale = SIZE * FACE / float(high[1] - low[1])
    middle = (low + high) / 2
    return [np.asarray((face - middle) * scale + SIZE / 2, np.float32) for face in faces]


def write_film(path: Path, pictures: Sequence[npt.NDArray[np.uint8]], sound: Array) -> None:
    """Pictures at 25 a second, with the voice (n,) at 16 kHz."""
    with av.open(str(path), "w") as container:
        film = container.add_stream("libx264", rate=STEADY_FPS, width=SIZE, height=SIZE, pix_fmt="yuv420p")
        voice = container.add_stream("aac", rate=RATE, layout="mono")
        for picture in pictures:
            container.mux(film.encode(av.VideoFrame.from_ndarray(picture, "bgr24")))
        container.mux(film.encode(None))
        frame = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), "fltp", "mono")
        frame.sample_rate = RATE
        container.mux(voice.encode(frame))
        container.mux(voice.encode(None))


def sheet(pictures: Sequence[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Some of them, evenly chosen, in rows."""
    rows, columns = SHEET
    chosen = [pictures[i] for i in np.linspace(0, len(pictures) - 1, rows * columns).astype(int)]
    return np.vstack([np.hstack(chosen[row * columns : (row + 1) * columns]) for row in range(rows)])


@app.command()
def avatar_preview(
    folder: Annotated[Path, typer.Argument(metavar="AVATAR", help="The avatar's folder.")],
    mic: Annotated[Path, typer.Option(help="A file with a voice.")],
    draw: Annotated[Path, typer.Option(help="The film of lines to write.")],
    sheet_to: Annotated[Path | None, typer.Option("--sheet", help="Some of its frames in one picture, too.")] = None,
    seed: Annotated[int, typer.Option(help="Another one moves the head otherwise.")] = 0,
) -> None:
    """Draw what an avatar does with a voice as a moving wireframe."""
    outputs = [Use(draw, "--draw"), *([Use(sheet_to, "--sheet")] if sheet_to else [])]
    refuse_clashes(outputs, [Use(mic, "--mic")])
    sound = read_sound(mic)
    pictures = [drawn(face) for face in fitted(poses_of(folder, sound, seed))]
    write_film(draw, pictures, sound)
    if sheet_to:
        cv2.imwrite(str(sheet_to), sheet(pictures))
    typer.echo(f"{draw}: {len(pictures)} frames")


if __name__ == "__main__":
    command.run("engines.common.avatar_preview", "avatar-preview", "stopped")
