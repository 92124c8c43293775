"""How large the network is: as it was published for films and for one speaker's lectures, and a small one."""

from __future__ import annotations

from dataclasses import dataclass

VECTOR = 256  # of speaker, scene and face: what whoever makes them gives
BANDS = 80
EMOTIONS = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise", "others")  # by number, as V2C has them


@dataclass(frozen=True)
class Shape:
    """The sizes. Widths are channels; ``positions`` is the longest row that a transformer takes."""

    phonemes: int = 87  # ARPAbet with stress, three silences; 0 is padding's number, too, and CTC's blank
    lips: int = 512  # of the features of a video frame, and of the lips' transformer
    text_layers: int = 5
    text_heads: int = 2
    lip_layers: int = 4
    lip_heads: int = 4
    decoder_layers: int = 7
    decoder_heads: int = 2
    inner: int = 1024  # of a block's convolutions
    kernel: int = 9
    prosody: int = 256  # of the predictors of pitch and energy
    bins: int = 256
    postnet: int = 512
    scene: bool = True  # it has the scene booster
    speakers: int = 0  # rows of a table that the published files carry and no step reads; 0 = none
    emotion_rows: int = 0  # of another one
    positions: int = 1000
    dropout: float = 0.2
    upsampling: int = 4  # mel frames per video frame


FILMS = Shape(speakers=1, emotion_rows=len(EMOTIONS) + 1)
LECTURES = Shape(
    text_layers=6,
    text_heads=8,
    lip_layers=6,
    decoder_layers=8,
    decoder_heads=8,
    scene=False,
    speakers=2,
    emotion_rows=len(EMOTIONS) + 1,
)
SMALL = Shape(
    lips=128,
    text_layers=2,
    lip_layers=2,
    decoder_layers=2,
    inner=192,
    kernel=5,
    prosody=128,
    postnet=64,
    positions=500,
    dropout=0.1,
)
