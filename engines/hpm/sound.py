"""Which sound a network makes, and how it is in step with the video: n mel frames of a video frame.

After the formula of HPMDubbing, ``n = rate / hop / fps``, which has to be whole. Their films have 22 050 Hz in hops of
220, which make 4.009 at 25 fps and are taken for 4: what is made is played at 22 000 Hz. So sound at 22 000 Hz is what
such a network has to learn from, and then it is in step to the sample, and as high as it was.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from realtime_dub.audio.frontends.voice_mel import VoiceMelSpec
from realtime_dub.inference.spec import mel_per_frame

MOST_PER_FRAME = 16


class Sound(BaseModel):
    """Rate, window and hop of the spectrogram, and the frame rate of what is seen; the profile of 16 kHz."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: int = Field(default=16_000, ge=16_000, le=48_000)  # Hz; the highest band is at 8 kHz
    window: int = Field(default=640, ge=64, le=1_024)  # samples, in a transform of 1024
    hop: int = Field(default=160, ge=16, le=8_192)  # samples
    fps: float = Field(default=25.0, gt=0, le=120)

    @model_validator(mode="after")
    def _whole(self) -> Sound:
        if self.per_frame > MOST_PER_FRAME:
            raise ValueError(f"{self.per_frame} mel frames for a video frame: give at most {MOST_PER_FRAME}")
        return self

    @property
    def spec(self) -> VoiceMelSpec:
        return VoiceMelSpec(rate=self.rate, window=self.window, hop=self.hop)

    @property
    def per_frame(self) -> int:
        """Mel frames of a video frame. Raises ValueError where that is no whole number."""
        return mel_per_frame(self.rate, self.hop, self.fps)

    @property
    def played_rate(self) -> int:
        """Hz at which a hop of each mel frame lasts as long as the video."""
        return round(self.per_frame * self.fps * self.hop)


LECTURES_SOUND = Sound(rate=16_000, window=640, hop=160, fps=25.0)
FILMS_SOUND = Sound(rate=22_050, window=880, hop=220, fps=25.0)
