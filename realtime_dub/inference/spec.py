"""What ``spec.json`` of a bundle holds: one model for all tasks, told apart by ``task``.

| task | the network hears or sees | and gives |
|---|---|---|
| ``motion`` | audio features | how points of the face mesh move |
| ``crop`` | audio features, a crop of the face | the crop with the mouth that speaks |
| ``landmarks`` | audio features, landmarks beside the mouth | landmarks of the mouth |
| ``frame`` | a drawing | a whole frame |
| ``mask`` | a crop of the face, a drawing of its outlines | where something stands before it |
| ``paint`` | a crop of the mouth, a drawing of its outlines, where teeth are | what is to be painted between the lips |
| ``speech`` | phonemes, features of lips, face and scene, a speaker | a mel spectrogram |
| ``vocoder`` | a mel spectrogram | audio |
| ``speaker`` | a mel spectrogram | who speaks, as a vector |
| ``expression`` | features that a motion net tells of a voice | how the lower face of an avatar moves |
| ``head`` | the same, and where the head was | where it may be next |
| ``restore`` | a crop of the face | the same face, clearer |

Format 1 had ``motion`` alone, without its name. Colour order, layout and normalisation live inside the network: what
goes in and comes out of ``crop``, ``frame``, ``mask`` and ``paint`` is BGR, or a share, in 0..1. A network of task
``restore`` that somebody else has exported may keep its own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from realtime_dub.audio.frontends import AudioSpec
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.audio.frontends.voice_mel import VoiceMelSpec
from realtime_dub.media import MS, NS

FORMATS = (1, 2)
MOST_VALUES = 2_500_000  # of all states
MOST_RATE = 1_000.0  # outputs per second
MOST_PIXELS = 1_024  # a side, of a network's pictures
MESH = 478  # points of the face
MOST_MOVED = 10.0  # mouth widths, and per mouth width of the opening

Name = Annotated[str, Field(max_length=200)]
Size = Annotated[int, Field(ge=1, le=65_536)]
# A size that differs from call to call: how many streams go together, how long the call is. None is format 1's "time".
Axis = Literal["batch", "time"]
Shape: TypeAlias = tuple[int | str | None, ...]
Displaced = Annotated[tuple[tuple[float, float, float], ...], Field(max_length=MESH)]


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TensorSpec(Strict):
    """A tensor of the network."""

    name: Name
    shape: Annotated[tuple[Size | Axis | None, ...], Field(max_length=8)]
    dtype: Literal["float32"] = "float32"


class StateSpec(Strict):
    """A tensor carried from call to call: zeros at first, then what the last call gave as ``after``."""

    before: Name  # the network's input
    after: Name  # the output that becomes it
    shape: Annotated[tuple[Size | Literal["batch"], ...], Field(max_length=8)]
    dtype: Literal["float32"] = "float32"

    def zeros_shape(self, batch: int = 1) -> tuple[int, ...]:
        """Of what ``batch`` streams that go together begin with."""
        return tuple(batch if isinstance(size, str) else size for size in self.shape)


class DataSpec(Strict):
    """A data set the network was trained on."""

    name: Name
    licence: Name
    citation: Annotated[str, Field(max_length=2_000)]
    hours: float = Field(ge=0)


class CropSpec(Strict):
    """The square of the face that a network paints, and what it is shown of it."""

    size: int = Field(ge=16, le=MOST_PIXELS)  # pixels a side
    # ``box``: upright, around the face's points; ``template``: turned and scaled so that eyes and mouth lie where they
    # do in the template; ``pose``: turned and scaled by the points that speech does not move.
    alignment: Literal["box", "template", "pose"] = "box"
    # Of the box's height and width, added on each side: top, bottom, left, right.
    margins: tuple[float, float, float, float] = (0.0, 0.1, 0.0, 0.0)
    hidden_from: float = Field(0.5, ge=0, le=1)  # of the height: below it, the network is shown nothing
    reference: bool = True  # it is shown the whole crop of another moment as well

    @field_validator("margins")
    @classmethod
    def _near(cls, value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        if any(abs(margin) > 1 for margin in value):
            raise ValueError("a margin is more than the face")
        return value


class _Common(Strict):
    """What every bundle says."""

    format: int
    name: Name
    version: Name
    engine: Name  # the generator that runs it
    model: Name  # file of the network
    inputs: tuple[TensorSpec, ...] = Field(max_length=16)
    states: tuple[StateSpec, ...] = Field((), max_length=256)
    outputs: tuple[TensorSpec, ...] = Field(max_length=16)
    licence: Name
    notice: Annotated[str, Field(max_length=10_000)] = ""  # whom to name, what must be said
    training_data: tuple[DataSpec, ...] = Field(max_length=256)
    sha256: dict[Name, str] = Field(max_length=4)  # of every file beside the spec

    @field_validator("sha256")
    @classmethod
    def _plain_names(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if Path(name).name != name:
                raise ValueError(f"{name!r} is not a plain file name")
        return value

    @field_validator("states")
    @classmethod
    def _bounded(cls, value: tuple[StateSpec, ...]) -> tuple[StateSpec, ...]:
        if sum(math.prod(state.zeros_shape()) for state in value) > MOST_VALUES:
            raise ValueError(f"more than {MOST_VALUES} values")
        return value

    @model_validator(mode="after")
    def _has_model(self) -> _Common:
        if self.model not in self.sha256:
            raise ValueError(f"no hash for {self.model}")
        return self


class HearingSpec(_Common):
    """A network that follows a voice."""

    audio: AudioSpec
    look_ahead_ms: int = Field(ge=0, le=10_000)  # audio that it hears from after the instant it gives something for

    @property
    def look_ahead_ns(self) -> int:
        return self.look_ahead_ms * MS


class UsualSpec(Strict):
    """What a network's motion looks like while people speak, over many voices: what is known of a voice at first."""

    # How far the lips open, mouth widths, ascending: equally many motions lie between one and the next.
    openings: Annotated[tuple[float, ...], Field(min_length=2, max_length=64)]
    # The points' displacement, mouth widths, as a line of the opening: at none, and what each mouth width adds.
    line: tuple[Displaced, Displaced]

    @field_validator("openings")
    @classmethod
    def _ascending(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(value) or max(map(abs, value)) > MOST_MOVED:
            raise ValueError("openings do not ascend, or are none of a mouth")
        return value

    @field_validator("line")
    @classmethod
    def _of_a_mouth(cls, value: tuple[Displaced, Displaced]) -> tuple[Displaced, Displaced]:
        if max(abs(number) for points in value for point in points for number in point) > MOST_MOVED:
            raise ValueError("a point goes farther than any of a mouth")
        return value


class MotionSpec(HearingSpec):
    """Audio features -> displacement of points of the face mesh, one output per hop."""

    task: Literal["motion"] = "motion"
    audio: LogMelSpec
    frame_rate: float = Field(gt=0, le=MOST_RATE)  # outputs per second
    # Indices in the face mesh of the points that move.
    points: tuple[Annotated[int, Field(ge=0, lt=MESH)], ...] = Field(max_length=MESH)
    usual: UsualSpec | None = None
    trunk: Name | None = None  # file with the weights behind what the network tells as ``told``

    @model_validator(mode="after")
    def _has_trunk(self) -> MotionSpec:
        if self.trunk is not None and self.trunk not in self.sha256:
            raise ValueError(f"no hash for {self.trunk}")
        return self

    @model_validator(mode="after")
    def _usual_of_these(self) -> MotionSpec:
        if self.usual is not None and {len(points) for points in self.usual.line} != {len(self.points)}:
            raise ValueError("the usual motion is one of other points")
        return self

    @model_validator(mode="after")
    def _in_step(self) -> MotionSpec:
        if abs(self.frame_rate * self.audio.hop_ns - NS) > 1:
            raise ValueError("frame_rate is not one output per hop")
        if self.look_ahead_ns % self.audio.hop_ns:
            raise ValueError("look_ahead_ms is not a whole number of hops")
        return self


class CropTaskSpec(HearingSpec):
    """Audio features and a crop of the face -> the crop with another mouth."""

    task: Literal["crop"]
    crop: CropSpec
    # Audio features per crop. The last is the one nearest to the instant and its look-ahead: of a window that is
    # centred on the instant, the look-ahead is half of it.
    window_frames: int = Field(ge=1, le=1_024)


class LandmarksSpec(HearingSpec):
    """Audio features and the landmarks that a voice does not move -> the landmarks of the mouth."""

    task: Literal["landmarks"]
    frame_rate: float = Field(gt=0, le=MOST_RATE)  # outputs per second
    # Indices in the face mesh: what is shown to the network, and what it gives.
    shown: tuple[Annotated[int, Field(ge=0, lt=MESH)], ...] = Field((), max_length=MESH)
    points: tuple[Annotated[int, Field(ge=0, lt=MESH)], ...] = Field(min_length=3, max_length=MESH)


class FrameSpec(_Common):
    """A drawing -> a whole frame."""

    task: Literal["frame"]
    width: int = Field(ge=16, le=MOST_PIXELS)
    height: int = Field(ge=16, le=MOST_PIXELS)
    drawing_channels: int = Field(3, ge=1, le=64)


class MaskSpec(_Common):
    """A square of the face, a drawing of its lower part and its lips -> the probability that a pixel is covered."""

    task: Literal["mask"]
    size: int = Field(ge=16, le=MOST_PIXELS)  # pixels a side
    side: float = Field(gt=0, le=16)  # of the square, template units
    centre: tuple[float, float, float]  # in the canonical face


class PaintSpec(_Common):
    """A square of the mouth as it is drawn, a drawing of its lips, where teeth are -> what is to be painted."""

    task: Literal["paint"]
    size: int = Field(ge=16, le=MOST_PIXELS)  # pixels a side
    side: float = Field(gt=0, le=16)  # of the square around the lips' middle, template units


class MoodSpec(Strict):
    """An emotion that a network has learnt, and what it is shown for it."""

    name: Name
    scene: Annotated[tuple[float, ...], Field(max_length=4_096)]
    face: Annotated[tuple[float, ...], Field(max_length=4_096)]  # of every frame


class SpeechSpec(_Common):
    """Phonemes, and features of lips, face, speaker and scene, -> the log mel spectrogram of speech."""

    task: Literal["speech"]
    phonemes: tuple[Name, ...] = Field(min_length=1, max_length=512)  # by number; the first stands for none
    rate: int = Field(ge=8_000, le=48_000)  # Hz, of the audio that the spectrogram is of
    window: int = Field(ge=64, le=8_192)  # samples
    hop: int = Field(ge=16, le=8_192)  # samples
    frame_rate: float = Field(gt=0, le=MOST_RATE)  # video frames per second
    most_frames: int = Field(ge=1, le=100_000)  # video frames that go in at once
    speakers: int = Field(0, ge=0)  # whom it learnt from; 0 = not known
    speaker: tuple[float, ...] = Field((), max_length=4_096)  # who speaks where nobody is chosen; none: zeros
    moods: tuple[MoodSpec, ...] = Field((), max_length=64)  # that can be asked for by name
    # What it was shown in its slots: features of other nets, or what the program makes itself.
    voice: Literal["bands", "net", "other"] = "bands"
    face: Literal["none", "rule", "other"] = "none"
    scene: Literal["none", "rule", "other"] = "none"

    @model_validator(mode="after")
    def _whole(self) -> SpeechSpec:
        mel_per_frame(self.rate, self.hop, self.frame_rate)
        return self


def mel_per_frame(rate: int, hop: int, fps: float) -> int:
    """Mel frames per video frame: ``rate / hop / fps``. Raises ValueError where that is no whole number.

    0.25 % is let pass: 22 050 Hz in hops of 220 at 25 frames per second make 4.009, published as 4.
    """
    exact = rate / hop / fps
    whole = max(1, round(exact))
    if abs(exact / whole - 1) > 0.0025:
        raise ValueError(f"{rate} Hz in hops of {hop} make {exact:.3f} mel frames for a frame at {fps:g} fps")
    return whole


class VocoderSpec(_Common):
    """A log mel spectrogram -> audio, one hop of samples for each of its frames."""

    task: Literal["vocoder"]
    rate: int = Field(ge=8_000, le=48_000)  # Hz
    window: int = Field(ge=64, le=8_192)  # samples
    hop: int = Field(ge=16, le=8_192)  # samples


class SpeakerSpec(_Common):
    """A log mel spectrogram -> a vector that is alike for one person."""

    task: Literal["speaker"]
    audio: VoiceMelSpec
    vector: int = Field(ge=2, le=4_096)  # numbers


class FollowingSpec(_Common):
    """What networks have in common that follow a voice by what a motion net tells of it, frame by frame.

    Of a frame at ``t`` they hear ``steps`` rows of features, ``step_ms`` apart, the last one as far behind ``t`` as
    ``look_ahead_ms`` allows beyond the motion net's own look-ahead.
    """

    hears: Name  # name and version of the motion net's bundle
    look_ahead_ms: int = Field(ge=0, le=2_000)  # of the voice, the motion net's own included
    frame_rate: float = Field(gt=0, le=MOST_RATE)  # outputs per second
    steps: int = Field(ge=1, le=256)
    step_ms: int = Field(ge=1, le=200)


class ExpressionSpec(FollowingSpec):
    """Features of a voice -> displacement of the lower face's points, mouth widths."""

    task: Literal["expression"]
    points: tuple[Annotated[int, Field(ge=0, lt=MESH)], ...] = Field(min_length=3, max_length=MESH)


class HeadSpec(FollowingSpec):
    """Features of a voice, pose and velocity of the frame before -> mean and spread of the next ones."""

    task: Literal["head"]


class RestoreSpec(_Common):
    """A square of the face, turned and scaled as FFHQ's faces lie (Karras, Laine, Aila 2019), -> the same, clearer."""

    task: Literal["restore"]
    size: int = Field(ge=16, le=MOST_PIXELS)  # pixels a side
    signed_rgb: bool = False  # it takes and gives RGB in -1..1, in place of BGR in 0..1


BundleSpec: TypeAlias = (
    MotionSpec
    | CropTaskSpec
    | LandmarksSpec
    | FrameSpec
    | MaskSpec
    | PaintSpec
    | SpeechSpec
    | VocoderSpec
    | SpeakerSpec
    | ExpressionSpec
    | HeadSpec
    | RestoreSpec
)
TASKS: dict[str, type[BundleSpec]] = {
    "motion": MotionSpec,
    "crop": CropTaskSpec,
    "landmarks": LandmarksSpec,
    "frame": FrameSpec,
    "mask": MaskSpec,
    "paint": PaintSpec,
    "speech": SpeechSpec,
    "vocoder": VocoderSpec,
    "speaker": SpeakerSpec,
    "expression": ExpressionSpec,
    "head": HeadSpec,
    "restore": RestoreSpec,
}


def parse(raw: dict[str, Any]) -> BundleSpec:
    """The spec in ``spec.json``'s object. Raises pydantic's ValidationError, ValueError for a task that is none."""
    task = "motion" if raw.get("format") == 1 else raw.get("task")
    if not isinstance(task, str) or task not in TASKS:
        raise ValueError(f"task: choose one of {', '.join(TASKS)}")
    return TASKS[task].model_validate(raw)
