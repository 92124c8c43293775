"""landmark-dub: the lips' landmarks from a net of another make, drawn as every mouth here is (docs/landmark-dub.md)."""

from __future__ import annotations

from pathlib import Path

from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.quality import Quality
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence


class LandmarkDubGenerator(MouthbankGenerator):
    """Runs a bundle of task ``landmarks``; all else is as :class:`MouthbankGenerator` has it."""

    name = "landmark-dub"

    def __init__(
        self,
        bundle: Path | None = None,
        identity: Path | Bank | None = None,
        strength: float = 1.0,
        backend: str = AUTO,
        silence: Silence = AUTO_SILENCE,
        quality: Quality = AUTO_QUALITY,
    ) -> None:
        super().__init__(bundle, identity, strength, None, backend, False, silence, quality)
        spec = None if bundle is None else bundles.load(bundle).spec
        self.terms = "" if spec is None else f"{spec.licence}. {spec.notice}".strip()
