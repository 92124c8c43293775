"""The generator: what a network paints for the voice, laid over the live mouth."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.crop import Crop, Margins
from realtime_dub.face.types import Face, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.media import MS, Image, Samples
from realtime_dub.mouth.contract import ImplausibleMouth, Latency, MouthPatch
from realtime_dub.mouth.fade import TurnFade
from realtime_dub.mouth.gate import SpeechGate
from realtime_dub.mouth.painter.box import FaceBox
from realtime_dub.mouth.painter.drawing import ColourMatch, drawn
from realtime_dub.mouth.painter.network import PainterNetwork, Shown
from realtime_dub.mouth.painter.pace import FRAME_NS, Between, Pace, Painted
from realtime_dub.mouth.painter.references import References
from realtime_dub.mouth.painter.windows import VoiceWindows
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence, SilenceShows

DRAW_NS = 8 * MS  # p95 of everything but the network, until measured
ROOM = 1.25  # of what the network took when it was opened
CROWDED = 2.0  # of one that wants most of the machine: tracking, drawing and encoding take their part of it later
MOST_PAD = 1.0  # of the face's box


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A mouth that is to be seen."""

    tracked: TrackedFrame
    face: Face
    at_ns: int
    crop: Crop
    live: Image
    reference: Image
    weight: float
    rests: bool  # the voice is silent


class PainterGenerator:
    """Runs a bundle of task ``crop``.

    ``bundle``: its folder; ``backend``: what runs the network; ``silence``: what the mouth does while the voice is
    silent: ``rest`` goes on painting, which shuts it; ``pads``: what is added to the face's box at the top, the
    bottom, the left and the right, in percent of it, in place of what the bundle says.
    """

    def __init__(
        self,
        name: str,
        bundle: Path | None = None,
        backend: str = AUTO,
        silence: Silence = AUTO_SILENCE,
        pads: str | None = None,
    ) -> None:
        if silence not in get_args(Silence):
            raise ConfigError("cannot use silence", repr(silence), "give auto, live or rest")
        margins = None if pads is None else margins_of(pads)
        loaded = bundles.load_shared(bundle) if bundle is not None else _own(name)
        self.name, self.bundle, self.silence = name, loaded.label, silence
        self.bundle_sha256 = loaded.sha256
        self._network = PainterNetwork(loaded, name, backend)
        spec = self._network.spec
        self.backend = self._network.session.backend
        self.terms = "" if bundle is None else f"{spec.licence}. {spec.notice}".strip()
        self._voice, self._box = VoiceWindows(spec), FaceBox(spec.crop, margins)
        self._references, self._colour = References(), ColourMatch()
        self._gate, self._turn = SpeechGate(), TurnFade()
        self._pace, self._between = Pace(self._network.took_ns), Between()

    @property
    def silence_shows(self) -> SilenceShows:
        return "rest" if self.silence == "rest" else "live"

    @property
    def short(self) -> bool:
        """The machine has little time: fewer mouths are painted."""
        return self._pace.short

    @short.setter
    def short(self, short: bool) -> None:
        self._pace.short = short

    @property
    def notes(self) -> list[str]:
        """How many mouths a second this machine can paint, where that is less than frames."""
        took_ns = self._network.took_ns
        if not self._pace.lead_ns:
            return []
        return [
            f"{self.bundle} takes {took_ns / MS:.0f} ms for a mouth here: live, about "
            f"{Pace(took_ns).per_second:.0f} a second are painted, and those between are faded"
        ]

    def latency(self) -> Latency:
        spec = self._network.spec
        front_end_ns = spec.audio.half_window_ns + spec.audio.hop_ns  # hops need not fall on the instants asked for
        return Latency(spec.look_ahead_ns + self._pace.lead_ns, front_end_ns, self._compute_ns())

    def _compute_ns(self) -> int:
        """A tick behind one that is painted waits for it, and has to be expected in time even so."""
        took_ns = self._network.took_ns
        if not self._pace.lead_ns:
            return round(took_ns * ROOM) + DRAW_NS
        return round(max(took_ns, 2 * took_ns - FRAME_NS) * CROWDED) + DRAW_NS

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._voice.hear(samples, pts_ns)

    def heard_until_ns(self) -> int:
        return self._voice.heard_until_ns() - self._pace.lead_ns

    def observe(self, tracked: TrackedFrame) -> None:
        if tracked.face is not None:
            self._seen(tracked, tracked.face)

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        asked = self._asked(tracked, at_ns)
        if asked is None:
            return None
        carried = not self._pace.wants(at_ns)
        if not carried:
            began_ns, instant_ns = time.perf_counter_ns(), self._pace.instant(at_ns)
            painted = self._network.paint([self._shown(asked, instant_ns)])[0]
            self._pace.took(time.perf_counter_ns() - began_ns)
            if painted is None:
                raise ImplausibleMouth
            matched = self._matched(asked, painted)
            self._between.add(Painted(matched, instant_ns, tracked.shot))
        image = self._between.at(at_ns, tracked.shot)
        return None if image is None else self._laid(asked, image, carried)

    def generate_batch(self, asked: Sequence[tuple[TrackedFrame, int]]) -> list[MouthPatch | None]:
        wanted = [self._asked(tracked, at_ns) for tracked, at_ns in asked]
        seen = [each for each in wanted if each is not None]
        painted = iter(self._network.paint([self._shown(each, each.at_ns) for each in seen]) if seen else [])
        made: list[MouthPatch | None] = []
        for each in wanted:
            image = None if each is None else next(painted)
            made.append(None if each is None or image is None else self._laid(each, self._matched(each, image), False))
        return made

    def close(self) -> None:
        """Nothing is held beyond memory."""

    def _asked(self, tracked: TrackedFrame, at_ns: int) -> _Asked | None:
        """What is to be painted and how much of it is seen; None where the live mouth stays."""
        spoken = self._gate(float(self._voice.speaks(at_ns)), at_ns)
        if (face := tracked.face) is None:
            return None
        rests = self.silence_shows == "rest" or tracked.frame.still  # a photograph has no live mouth
        crop, live = self._seen(tracked, face)
        weight = (1.0 if rests else spoken) * self._turn(tracked)
        if weight <= 0:
            return None
        return _Asked(tracked, face, at_ns, crop, live, self._references.choose(face), weight, spoken <= 0)

    def _seen(self, tracked: TrackedFrame, face: Face) -> tuple[Crop, Image]:
        crop = self._box(tracked, face)
        live = crop.take(tracked.frame.image)
        self._references.see(tracked, face, live)
        return crop, live

    def _shown(self, asked: _Asked, at_ns: int) -> Shown:
        return Shown(self._voice.window(at_ns), asked.live, asked.reference)

    def _matched(self, asked: _Asked, painted: Image) -> Image:
        return self._colour(asked.tracked, asked.face, asked.crop, asked.live, painted)

    def _laid(self, asked: _Asked, image: Image, carried: bool) -> MouthPatch | None:
        patch = drawn(asked.tracked, asked.crop, image, asked.at_ns, asked.weight, carried)
        return replace(patch, resting=True) if patch is not None and asked.rests else patch


def margins_of(pads: str) -> Margins:
    """Shares of ``pads``, four numbers in percent. Raises ConfigError."""
    try:
        found = [float(part) / 100 for part in pads.split(",")]
    except ValueError:
        found = []
    if len(found) != 4 or not all(abs(each) <= MOST_PAD for each in found):
        do = "give four numbers from -100 to 100: top, bottom, left, right, such as 0,10,0,0"
        raise ConfigError("cannot use --pads", repr(pads), do)
    return found[0], found[1], found[2], found[3]


def _own(name: str) -> bundles.Bundle:
    """The one that comes with the program. Raises BundleError where none does."""
    if bundles.longest_look_ahead(name) is None:
        do = f"give --bundle FOLDER; import-engine {name} FILE -o FOLDER makes one of weights that you have"
        raise BundleError("no network comes with", f"engine {name}", do)
    return bundles.load_default(name)


def lipgan(**options: Any) -> PainterGenerator:
    return PainterGenerator("lipgan", **options)


def wav2lip(**options: Any) -> PainterGenerator:
    return PainterGenerator("wav2lip", **options)
