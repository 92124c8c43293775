"""What a run is asked to do: small frozen models, checked once, before anything is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from realtime_dub.errors import ConfigError
from realtime_dub.inference import AUTO
from realtime_dub.media import BLACK, Colour
from realtime_dub.mouth import registry
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.quality import Quality
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence
from realtime_dub.paths import is_number
from realtime_dub.trust.badge_style import WORD, BadgeStyle, Place, When
from realtime_dub.trust.options import SigningOptions
from realtime_dub.validation import Problem, first_problem

Codec = Literal["h264", "vp9", "av1", "mjpeg"]
Encoder = Literal["auto", "software", "nvenc", "videotoolbox", "qsv", "amf"]
OnOff = Literal["on", "off"]
LATIN_ENDS = "\u0250"
SECRETS = ("token", "password", "secret")  # how the names of options end whose values are nobody else's
MOST_SECONDS = 31_622_400  # a year
Preset = Literal[
    "ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow", "placebo"
]
Model = TypeVar("Model", bound=BaseModel)


def colour_of(text: str) -> Colour:
    """BGR of a name that web pages know, or of #rrggbb. Raises ValueError."""
    if text == "black":
        return BLACK
    from PIL import ImageColor  # not for those who choose none

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError:
        raise ValueError("write a colour's name, such as white, or #rrggbb") from None
    return blue, green, red


class Signing(BaseModel):
    """Who signs the files that are made."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    credentials: Literal["on", "off"] = "on"
    sign_cert: Path | None = None
    sign_key: Path | None = None
    signer: str | None = None  # a service's address
    tsa: str | None = None  # a time stamp authority's

    @property
    def signing(self) -> SigningOptions | None:
        """None = nobody."""
        options = SigningOptions(self.sign_cert, self.sign_key, self.signer, self.tsa)
        return options if self.credentials == "on" else None


class Badged(BaseModel):
    """What tells people who watch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    badge: When = "corner"  # in the picture, for those who watch: off, while it is dubbed, or in every frame
    badge_place: Place = "top-left"
    badge_size: float = Field(5.0, ge=2, le=20)  # percent of the frame's height
    badge_word: str = Field(WORD, max_length=40)  # beside the letters AI

    @field_validator("badge_word")
    @classmethod
    def _drawable(cls, value: str) -> str:
        if not all(letter.isprintable() and letter < LATIN_ENDS for letter in value):
            raise ValueError("write it in Latin letters: the badge's font has no others")
        return value

    @property
    def badge_style(self) -> BadgeStyle:
        return BadgeStyle(self.badge, self.badge_place, self.badge_size, self.badge_word)


class _Shared(Badged, Signing):
    """What the live loop and the file loop have in common."""

    width: int = Field(640, ge=16, le=8192)  # asked of a camera, and of pictures made here
    height: int = Field(480, ge=16, le=8192)
    fps: float = Field(25, ge=1, le=240)
    face: str = "largest"  # or left, right, or a number counted from the left
    engine: str = registry.DEFAULT
    bundle: Path | None = None
    identity: Path | None = None
    backend: str = AUTO  # what runs the network
    strength: float = Field(1.0, ge=0, le=2)
    look_ahead: int | None = Field(None, ge=0, le=1000)  # ms of the voice that the mouth waits for
    learn: OnOff = "on"  # how the person talks, while they speak with their own voice
    silence: Silence = AUTO_SILENCE  # what the mouth does while the voice is silent
    marks: OnOff = "on"  # that nobody sees or hears, in what is dubbed
    quality: Quality = AUTO_QUALITY  # at what size large mouths are drawn
    encoder: Encoder = "software"  # of H.264, in files and network streams
    codec: Codec = "h264"  # of films
    pads: str | None = None  # of engines that paint: what is added to the face's box, percent: top, bottom, left, right
    translator: Path | None = None  # of landmark-dub: a net that paints the person from a drawing
    denoiser: Path | None = None  # and one that smooths what was painted
    backdrop: str | None = None  # of avatars: a colour or a picture behind the person; None = as recorded
    enhance: bool = False  # and crisper faces
    enhancer: Path | None = None  # by this network
    head: str | None = None  # of avatars: how the head moves; None = as the engine likes
    # Of engines that take teeth from a film: the numbers of its frames that show them, and rows where the lips end.
    teeth_upper: int | None = Field(None, ge=0)
    teeth_lower: int | None = Field(None, ge=0)
    line_upper: int | None = Field(None, ge=0)
    line_lower: int | None = Field(None, ge=0)
    stats_json: Path | None = None
    contact_sheet: Path | None = None
    pcm_rate: int = Field(16_000, ge=4_000, le=384_000)  # of raw sound on standard input
    pcm_channels: int = Field(1, ge=1, le=64)
    pcm_format: Literal["s16le", "f32le"] = "s16le"
    background: str = "black"  # a colour's name or #rrggbb, in bars and behind what is transparent
    video_stream: int | None = Field(None, ge=1)  # of several pictures and sounds in a file or stream, from 1
    audio_stream: int | None = Field(None, ge=1)
    language: str | None = None  # of the sound
    seconds: float | None = Field(None, gt=0, le=MOST_SECONDS, allow_inf_nan=False)
    quiet: bool = False

    @field_validator("face")
    @classmethod
    def _known_face(cls, value: str) -> str:
        if value not in ("largest", "left", "right") and not is_number(value):
            raise ValueError("choose largest, left, right or a number")
        return value

    @field_validator("background")
    @classmethod
    def _known_colour(cls, value: str) -> str:
        colour_of(value)
        return value

    @property
    def background_bgr(self) -> Colour:
        return colour_of(self.background)

    @property
    def size_asked(self) -> bool:
        """Somebody named a size; else a camera is asked for what this machine holds, and an avatar is as recorded."""
        return bool({"width", "height"} & self.model_fields_set)


class LiveConfig(_Shared):
    """A live run: a camera and a voice in, publishers out."""

    webcam: str = "0"
    camera_late_ms: float = Field(0, ge=0, le=1000, allow_inf_nan=False)  # how long its pictures take until they come
    mic: str = "default"
    own_mic: str | None = None  # the person's voice beside another's in ``mic``: to learn how they talk
    to: tuple[str, ...] = ()  # empty = the virtual camera, or else a window
    speaker: str | None = None
    script: str | None = None  # of a voice "tts:": a file, or - for lines typed or piped in
    speaker_id: int | None = Field(None, ge=0)  # of that voice
    budget_ms: float | None = Field(None, gt=0, le=60_000)  # None = what the stages declare and a margin
    loop: bool = False
    notice: str = Field("off", pattern=r"^(off|chime|spoken:\s*\S[^\n]{0,300})$")  # heard at the start

    @property
    def fps_asked(self) -> float | None:
        return self.fps if "fps" in self.model_fields_set else None


class FileConfig(_Shared):
    """A file dubbed as fast as it goes."""

    input: str
    mic: str = "video"
    output: Path
    speaker: Path | None = None  # somebody's voice, for a script
    speaker_id: int | None = Field(None, ge=0)  # of a voice that says a script
    extend: bool = False  # hold the last picture until the voice ends
    steps: str | None = None  # of engines that work in steps: those to make, comma-separated
    retime: bool = False  # the film in an order that suits the voice's pauses
    static: bool = False  # the first frame alone, as a photograph
    batch: int | None = Field(None, ge=1, le=128)  # frames that an engine which can takes together
    crf: int | None = Field(None, ge=0, le=51)
    preset: Preset | None = None
    save_landmarks: Path | None = None  # a .npz, a .csv or a folder
    preview: Path | None = None  # a video of the landmarks as lines
    openness: Path | None = None  # a plot of how far the mouth opens


class VoiceConfig(Signing):
    """A voice made of a script for a film."""

    input: str
    output: Path
    script: str | None = None  # what is said
    subtitles: Path | None = None  # what is said, and when
    speaker: Path | None = None
    speaker_id: int | None = Field(None, ge=0)
    emotion: str | None = None
    language: str | None = None
    engine: str = "tts"
    face: str = "largest"
    video_stream: int | None = Field(None, ge=1)
    marks: OnOff = "on"  # that nobody hears, nor sees in the film that says it
    quiet: bool = False


def build(model: type[Model], **values: object) -> Model:
    """``model`` made of ``values``. Raises ConfigError, one line, naming the first value that cannot be used."""
    try:
        return model(**values)
    except ValidationError as error:
        problem = first_problem(error)
        raise ConfigError("cannot use", _named(problem), problem.what) from None


def _named(problem: Problem) -> str:
    """What cannot be used. Secrets are not repeated, nor is everything else where it is no single value."""
    if not problem.where:
        return "these options together"
    is_said = problem.kind not in ("missing", "extra_forbidden") and not problem.where.endswith(SECRETS)
    return f"{problem.where} = {problem.given!r}" if is_said else problem.where
