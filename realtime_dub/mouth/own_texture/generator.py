"""The generator: mouthbank's, with another net for the mouth's motion and another way to draw it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from realtime_dub.face.types import FaceTracker, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.media import MS
from realtime_dub.mouth.contract import Latency, MouthPatch
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.inside import Inside
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.voice_stream import Motion, VoiceMotion
from realtime_dub.mouth.own_texture.kept import KeepingStream, voice_of
from realtime_dub.mouth.own_texture.render import TextureRenderer
from realtime_dub.mouth.own_texture.teeth import Chosen
from realtime_dub.mouth.own_texture.texture_file import TextureFile
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.quality import Quality
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence
from realtime_dub.mouth.steps import Steps

TABLE_EVERY_NS = 200 * MS  # from one entry of a person's table to the next, where time is short
COMPUTE_NS = 26 * MS  # p95 of sound, net, median and drawing on one core of a laptop, until measured


class OwnTextureGenerator(MouthbankGenerator):
    """Drives the live face by any voice with a mouth put together from the person's own frames.

    Options as mouthbank's. ``teeth_upper``, ``teeth_lower``: frames that show teeth, in place of those that are found;
    ``line_upper``, ``line_lower``: rows of these frames where the lips end, pixels; ``steps``: what of the way is made,
    and where its files are.
    """

    name = "own-texture"

    def __init__(
        self,
        bundle: Path | None = None,
        identity: Path | Bank | None = None,
        strength: float = 1.0,
        look_ahead_ms: int | None = None,
        backend: str = AUTO,
        silence: Silence = AUTO_SILENCE,
        quality: Quality = AUTO_QUALITY,
        teeth_upper: int | None = None,
        teeth_lower: int | None = None,
        line_upper: int | None = None,
        line_lower: int | None = None,
        steps: Steps | None = None,
    ) -> None:
        self._teeth = Chosen(teeth_upper, teeth_lower, line_upper, line_lower)
        self._steps, self._file = steps, TextureFile(steps)
        self._prepared = -1
        super().__init__(bundle, identity, strength, look_ahead_ms, backend, False, silence, quality)

    def _stream(self, bundle: Bundle, backend: str) -> VoiceMotion:
        return voice_of(bundle, backend, self._steps)

    def _renderer(self, bank: Bank, inside: Inside | None) -> TextureRenderer:
        return TextureRenderer(bank, inside, self._teeth, self._file)

    def latency(self) -> Latency:
        usual = super().latency()
        return Latency(usual.look_ahead_ns, usual.front_end_ns, COMPUTE_NS)

    def calibrate(self, frames: Sequence[TrackedFrame], tracker: FaceTracker) -> None:
        """A median of many frames is where they are on the average: there is no one mouth to correct."""
        for person in self.people.known:
            person.taught_ns = None
        self.people.restart()

    def observe(self, tracked: TrackedFrame) -> None:
        super().observe(tracked)
        renderer = self.people.current.renderer
        if isinstance(renderer, TextureRenderer) and renderer.quick:  # there is time just now
            renderer.synthesis.prepare()

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        if self._steps is not None and not self._steps.wanted & {"texture", "composite"}:
            return None
        return super().generate(tracked, at_ns)

    def close(self) -> None:
        """Write the files of the steps that were wanted."""
        steps, self._steps = self._steps, None
        if steps is not None:
            self._file.write()
            if isinstance(self._motion, KeepingStream):
                self._motion.write()
        super().close()

    def _drawn(
        self, tracked: TrackedFrame, person: Person, motion: Motion, share: float, blend_weight: float, at_ns: int
    ) -> MouthPatch | None:
        if isinstance(person.renderer, TextureRenderer):
            person.renderer.quick = self.short or self.works_at == "low"
            if person.renderer.quick and (at_ns // TABLE_EVERY_NS) != self._prepared:
                self._prepared = at_ns // TABLE_EVERY_NS
                person.renderer.synthesis.prepare()
        return super()._drawn(tracked, person, motion, share, blend_weight, at_ns)
