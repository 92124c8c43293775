"""What the server and a session are asked to do: small frozen models, checked once."""

from __future__ import annotations

import ipaddress
import re
import time
import unicodedata
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from realtime_dub.config import Badged, OnOff, Signing
from realtime_dub.mouth import registry
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence
from realtime_dub.web.limits import MOST_LANGUAGES
from realtime_dub.web.turn import turn_pass

ENGINES = tuple(registry.names())  # asked once: whoever is asked on the event loop must not look at files
MOST_UNDER = 0.4
# Letters with their signs, as Hindi's vowels are, digits, - and _; one pattern for all that names a room.
MARKS = "".join(map(chr, (each for each in range(0x300, 0x11A00) if unicodedata.category(chr(each))[0] == "M")))
ROOM_NAME = rf"[\w{MARKS}-]{{1,64}}"
FRAME_MS = 20  # sound goes over the wire in frames of this length
LANGUAGE = r"[a-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,2}"  # a tag of BCP 47, as far as rooms tell languages apart
BACKGROUNDS = r"recorded|none|#[0-9a-f]{6}|upload:[\w-]{1,64}"
LEAST_SIDE, MOST_SIDE = 128, 1_080  # pixels
FLOOR = "floor"  # of a room: what its sender says and shows, undubbed
_ROOM_VOICE = re.compile(rf"room:({ROOM_NAME})(?::({LANGUAGE}))?")


def _room_name(value: str) -> str:
    if not re.fullmatch(ROOM_NAME, value):
        raise ValueError("a room's name has 1 to 64 letters, digits, - and _")
    return value


RoomName = Annotated[str, AfterValidator(_room_name)]


def room_voice(voice: str) -> tuple[str, str] | None:
    """The room and the channel whose interpreters are that voice; None where it is another kind."""
    found = _ROOM_VOICE.fullmatch(voice)
    return found and (found[1], found[2] or "")


class InRooms(Protocol):
    @property
    def room(self) -> str | None: ...

    @property
    def voice(self) -> str: ...


def rooms_of(who: InRooms) -> list[str]:
    """In which a session has to do with others, the most binding first."""
    spoken = room_voice(who.voice)
    return [room for room in (who.room, spoken and spoken[0]) if room]


class ServeConfig(Badged, Signing):
    """``realtime-dub serve``."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65_535)
    token: str | None = Field(None, min_length=8, max_length=200)
    spare: bool = True  # where there are several, one more process waits for one of them to end
    workers: int | None = Field(None, ge=1, le=64)  # processes that dub; None: as many as may be of use
    max_sessions: int = Field(2, ge=1, le=100)  # pipelines; who only speaks or watches is counted apart
    max_interpreters: int = Field(8, ge=0, le=1_000)
    max_viewers: int = Field(8, ge=0, le=1_000)
    max_channels: int | None = Field(None, ge=0, le=100)  # dubbed pictures of channels; None: what the machine holds
    max_bandwidth_kbps: int | None = Field(None, ge=100, le=100_000_000)  # of all video that leaves; None: no limit
    push_to: tuple[str, ...] = ()  # hosts, or hosts with ports, that operators may push channels to
    link_hours: float = Field(168, gt=0, le=8_760)  # a link for a role can be used
    fps: float = Field(25, ge=5, le=60)
    size: Literal["auto", "480p", "720p"] = "auto"  # that pages ask cameras for, where nobody chose one there
    codec: Literal["vp8", "h264"] = "vp8"
    bitrate_kbps: int = Field(1_500, ge=100, le=20_000)
    max_bitrate_kbps: int = Field(2_000, ge=100, le=50_000)
    upload_mb: int = Field(50, ge=1, le=2_000)
    idle_s: float = Field(30, ge=1, le=3_600)  # without a packet from the browser
    server_mic: str | None = None  # a sound device that sessions may use as their voice
    tls_cert: Path | None = None
    tls_key: Path | None = None
    self_signed: bool = False
    stun: str | None = Field(None, pattern=r"^stuns?:[\w.-]+(:\d+)?$")
    turn: str | None = Field(None, pattern=r"^turns?:[\w.-]+(:\d+)?(\?transport=(udp|tcp))?$")
    turn_user: str | None = None
    turn_password: str | None = None
    turn_secret: str | None = Field(None, min_length=8, max_length=200)  # shared with the relay: passes that run out
    public_ip: IPv4Address | None = None
    udp_ports: str | None = None
    media_to: Literal["auto", "machine", "lan", "internet"] = "auto"  # where addresses of visitors may be
    picture_height: int = Field(720, ge=180, le=2_160)  # of 16:9; what has more pixels is made smaller
    bundle: Path | None = None
    marks: OnOff = "on"  # that nobody sees or hears, in what is dubbed
    avatars: Path | None = None  # a folder of avatars that every visitor may choose
    train_avatars: int = Field(0, ge=0, le=1_000)  # of films of visitors, that are kept at a time; 0: none is trained
    decode: Literal["apart", "within"] = "apart"  # what visitors send live: by processes of their own, or by this one
    quiet: bool = False

    @field_validator("push_to")
    @classmethod
    def _hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for each in value:
            if not re.fullmatch(r"[A-Za-z0-9.-]{1,253}(:\d{1,5})?", each):
                raise ValueError("give the host alone, or with its port: media.example or media.example:1935")
        return tuple(each.lower() for each in value)

    @field_validator("server_mic")
    @classmethod
    def _a_voice_of_its_own(cls, value: str | None) -> str | None:
        if value in ("-", "video"):
            raise ValueError("name a microphone, an audio file, or demo")
        return value

    @field_validator("udp_ports")
    @classmethod
    def _a_range(cls, value: str | None) -> str | None:
        if value is not None:
            low, _, high = value.partition("-")
            if not (low.isdecimal() and high.isdecimal() and 1024 <= int(low) <= int(high) <= 65_535):
                raise ValueError("write it as LOW-HIGH, both from 1024 to 65535")
        return value

    @model_validator(mode="after")
    def _whole(self) -> ServeConfig:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("a certificate and its key go together: give tls_cert and tls_key")
        if self.turn is not None and not self.turn_secret and not (self.turn_user and self.turn_password):
            raise ValueError("a TURN server needs turn_secret, or turn_user and turn_password")
        return self

    @property
    def bitrates(self) -> tuple[int, int]:
        """Of a video that leaves, in bits per second: to begin with, and at most."""
        most = max(self.bitrate_kbps, self.max_bitrate_kbps)
        return self.bitrate_kbps * 1000, most * 1000

    @property
    def port_range(self) -> range | None:
        """Of UDP ports for video and audio."""
        if self.udp_ports is None:
            return None
        low, _, high = self.udp_ports.partition("-")
        return range(int(low), int(high) + 1)

    @property
    def frame_pixels(self) -> int:
        """The largest picture that is worked on."""
        return self.picture_height**2 * 16 // 9

    @property
    def fps_asked(self) -> float | None:
        return self.fps if "fps" in self.model_fields_set else None

    @property
    def secure(self) -> bool:
        return self.self_signed or self.tls_cert is not None

    @property
    def ice_servers(self) -> list[dict[str, str]]:
        """As browsers want them. With ``turn_secret`` each who asks gets a pass of their own."""
        servers = [{"urls": self.stun}] if self.stun else []
        if self.turn and self.turn_secret:
            name, password = turn_pass(self.turn_secret, time.time())
            servers.append({"urls": self.turn, "username": name, "credential": password})
        elif self.turn and self.turn_user and self.turn_password:
            servers.append({"urls": self.turn, "username": self.turn_user, "credential": self.turn_password})
        return servers

    @property
    def local(self) -> bool:
        """Only this machine can reach the server."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class SessionOptions(BaseModel):
    """What a page may choose; all but ``picture``, ``room``, ``role`` and ``program`` can be changed while it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    engine: str = Field(registry.DEFAULT, max_length=64)
    look_ahead_ms: int | None = Field(None, ge=0, le=1_000)  # None: the engine's usual one
    budget_ms: float | None = Field(None, gt=0, le=5_000)
    strength: float = Field(1.0, ge=0, le=2)
    silence: Silence = AUTO_SILENCE
    voice: str = Field("mic", max_length=100)
    own_mic: bool = False  # the page's microphone, where it is not the voice, teaches how the person talks
    face: str = Field("largest", max_length=10)
    consent: bool = False  # the person agreed that others' voices move their mouth
    under: float | None = Field(None, ge=0, le=MOST_UNDER)  # of the original; None: a viewer's room's
    picture: str = Field("camera", pattern=r"^(camera|(upload|avatar):[\w-]{1,64})$")
    background: str = Field("recorded", pattern=rf"^({BACKGROUNDS})$")  # of an avatar
    side: int | None = Field(None, ge=LEAST_SIDE, le=MOST_SIDE, multiple_of=2)  # of its picture; None: as recorded
    head: Literal["auto", "recorded"] = "auto"  # how an avatar's moves
    room: RoomName | None = None
    channel: str = Field("", pattern=rf"^({FLOOR}|{LANGUAGE})?$")  # an interpreter's language; what a viewer watches
    hears: str = Field(FLOOR, pattern=rf"^({FLOOR}|{LANGUAGE})$")  # an interpreter: the floor, or another interpreter
    languages: tuple[Annotated[str, Field(pattern=rf"^{LANGUAGE}$", max_length=24)], ...] = Field(
        (), max_length=MOST_LANGUAGES
    )  # the channels of a sender's room
    role: Literal["studio", "interpreter", "viewer"] = "studio"
    program: bool = False  # an interpreter that is no person

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: str) -> str:
        if value not in ENGINES:
            raise ValueError(f"choose one of {', '.join(ENGINES)}")
        return value

    @field_validator("languages")
    @classmethod
    def _once_each(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(value))

    @model_validator(mode="after")
    def _speaks_a_language(self) -> SessionOptions:
        if self.role == "interpreter" and self.channel == FLOOR:
            raise ValueError("an interpreter speaks a language, not the floor")
        return self

    @field_validator("voice")
    @classmethod
    def _known_voice(cls, value: str) -> str:
        kind, _, name = value.partition(":")
        named = kind == "upload" and 1 <= len(name) <= 64 and name.replace("-", "").replace("_", "").isalnum()
        if value not in ("mic", "none", "server") and not named and room_voice(value) is None:
            raise ValueError("choose mic, none, server, upload:ID, room:NAME or room:NAME:LANGUAGE")
        return value

    @property
    def speaks_for_another(self) -> bool:
        """The voice surely is not the face's: it is an interpreter's or a file's, or the face is a picture's."""
        return self.voice.partition(":")[0] in ("room", "upload") or self.picture != "camera"

    @property
    def files(self) -> tuple[str, str, str]:
        """What may have been uploaded for it."""
        return self.voice, self.picture, self.background

    @property
    def avatar(self) -> str | None:
        """The name of the avatar that is the picture."""
        kind, _, name = self.picture.partition(":")
        return name if kind == "avatar" else None

    @property
    def is_floor(self) -> bool:
        """Its own picture speaks its own voice, and channels speak the others': there is nothing to dub in it."""
        return bool(self.languages) and self.picture == "camera" and self.voice == "mic"

    @property
    def shown_by(self) -> str:
        """The engine that makes the picture: an avatar has its own."""
        return self.engine if self.avatar is None else registry.OF_AVATARS

    @property
    def learns_from_mic(self) -> bool:
        return self.own_mic and self.voice != "mic" and self.picture == "camera"

    @field_validator("face")
    @classmethod
    def _known_face(cls, value: str) -> str:
        if value not in ("largest", "left", "right", "1", "2", "3", "4"):
            raise ValueError("choose largest, left, right or a number from 1 to 4")
        return value


LIVE_OPTIONS = frozenset(
    {"engine", "look_ahead_ms", "budget_ms", "strength", "silence", "voice", "own_mic", "face", "under", "consent"}
    | {"channel", "hears", "languages"}
    | {"background", "side", "head"}
)
