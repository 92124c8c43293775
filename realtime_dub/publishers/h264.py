"""Which encoder makes H.264: libx264, or one in hardware, if this machine has it and it works.

Not run so far on hardware: of NVENC, Quick Sync, AMF and VideoToolbox the options were written from FFmpeg's
documentation. What is tested is the choice, and what becomes of it where none opens. VAAPI is not among them: it takes
frames in the memory of the graphics card alone, and PyAV makes none there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from realtime_dub.errors import DependencyError
from realtime_dub.media import SMALL
from realtime_dub.publishers import encoder_trial
from realtime_dub.publishers.encoder_trial import Trial

AUTO, SOFTWARE = "auto", "software"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an output shall be like, in libx264's terms; each encoder has its own for the same."""

    crf: int  # 0 best .. 51
    preset: str | None  # None: what suits a film, see _film
    live: bool
    fps: Fraction
    size: tuple[int, int]
    most_bits: int | None = None  # a second, into a network


TRIED = Wanted(23, "superfast", True, Fraction(25), (640, 480))  # where no output is known


Options = dict[str, str]  # FFmpeg's, and its values


@dataclass(frozen=True, slots=True)
class H264:
    """An encoder, its own options, and the kind of 4:2:0 frames that it takes."""

    codec: str  # FFmpeg's name
    own: Callable[[Wanted], Options]
    pix_fmt: str = "yuv420p"
    full_range: bool = False  # it takes 0..255 alone


def _x264(wanted: Wanted) -> Options:
    # A fixed number of threads: the encoder's decisions depend on it. No macroblock tree: with it, what lay in memory
    # before changes the result.
    made = {"threads": "2" if wanted.live else "4", "mbtree": "0"}
    made |= _film(wanted) if wanted.preset is None else {"preset": wanted.preset, "crf": str(wanted.crf)}
    return made | ({"tune": "zerolatency"} if wanted.live else {})


def _film(wanted: Wanted) -> Options:
    """As good as ``veryfast`` with this ``crf``, in half of its time, and no larger but where there is film grain.

    All blocks have one quantiser: what x264 usually takes from where there is detail, for what is plain, makes files
    larger with the coarsest search for movement. CAVLC takes a third of CABAC's time, for the same picture in a tenth
    more: where a film is small, that is less than what the mouths cost.
    """
    same = str(wanted.crf + 0.7 if wanted.crf else 0)  # 0: without loss
    made = {"preset": "superfast", "crf": same, "subq": "1", "weightp": "0", "aq-mode": "0"}
    return made | ({"coder": "vlc"} if wanted.size[0] * wanted.size[1] <= SMALL else {})


def _nvenc(wanted: Wanted) -> Options:
    made = {"preset": "p4", "rc": "vbr", "cq": str(max(1, wanted.crf))}
    return made | ({"tune": "ull", "zerolatency": "1", "delay": "0"} if wanted.live else {"tune": "hq"})


def _qsv(wanted: Wanted) -> Options:
    made = {"preset": "veryfast", "global_quality": str(max(1, wanted.crf))}
    return made | ({"async_depth": "1", "low_delay_brc": "1"} if wanted.live else {})


def _amf(wanted: Wanted) -> Options:
    made = {"rc": "cqp", "qp_i": str(wanted.crf), "qp_p": str(wanted.crf)}
    return made | ({"usage": "ultralowlatency"} if wanted.live else {"usage": "transcoding"})


def _videotoolbox(wanted: Wanted) -> Options:
    # It knows no quality on all machines: bits a pixel, twice as many with every six steps of libx264's.
    bits = wanted.size[0] * wanted.size[1] * wanted.fps * Fraction(2 ** ((23 - wanted.crf) / 6) / 10)
    return {"b": str(int(bits))} | ({"realtime": "1"} if wanted.live else {})


X264 = H264("libx264", _x264)
HARDWARE = {
    "nvenc": H264("h264_nvenc", _nvenc),
    "videotoolbox": H264("h264_videotoolbox", _videotoolbox),
    "qsv": H264("h264_qsv", _qsv, "nv12"),
    "amf": H264("h264_amf", _amf),
}
NAMES = (AUTO, SOFTWARE, *HARDWARE)


def choose(name: str, wanted: Wanted) -> tuple[H264, str]:
    """The encoder that ``name`` means, and why it is not one in hardware where ``auto`` found none that works.

    Those in hardware are tried (``encoder_trial``). Raises DependencyError for one that was named and does not work.
    """
    if name == SOFTWARE:
        return X264, ""
    asked = {name: HARDWARE[name]} if name in HARDWARE else HARDWARE
    failed = why_not(asked, wanted)
    for each, why in failed.items():
        if why is None:
            return asked[each], ""
    told = ", ".join(f"{each}: {why}" for each, why in failed.items())
    if name == AUTO:
        return X264, f"no hardware encoder works here ({told}): libx264 was used"
    raise DependencyError("cannot use the encoder", told, "use --encoder auto or software")


def even(size: int) -> int:
    """The next even number: 4:2:0 colour has half the picture's width and height."""
    return size + size % 2


def why_not(encoders: Mapping[str, H264], wanted: Wanted = TRIED) -> dict[str, str | None]:
    """By name why an encoder makes nothing of a frame here; None where it does. Blocking, for seconds at most."""
    width, height = map(even, wanted.size)
    trials = [
        Trial(each.codec, each.pix_fmt, width, height, str(wanted.fps), each.full_range, options(each, wanted))
        for each in encoders.values()
    ]
    return dict(zip(encoders, encoder_trial.why_not(trials), strict=True))


def options(encoder: H264, wanted: Wanted) -> Options:
    """All that it is opened with."""
    made = {**encoder.own(wanted), "bf": "0"}  # with B-frames a fragmented mp4 is counted one frame too short
    if wanted.live:
        made["g"] = str(max(1, round(2 * wanted.fps)))
    if wanted.most_bits is not None:
        made |= {"maxrate": str(wanted.most_bits), "bufsize": str(wanted.most_bits)}
    return made
