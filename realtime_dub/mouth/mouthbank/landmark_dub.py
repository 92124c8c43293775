"""landmark-dub: the lips' landmarks from a net of another make, drawn as every mouth here is (docs/landmark-dub.md)."""

from __future__ import annotations

from pathlib import Path

from realtime_dub.errors import ConfigError
from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.denoiser import Denoiser
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.inside import Inside
from realtime_dub.mouth.mouthbank.render import Renderer
from realtime_dub.mouth.mouthbank.translator import TranslatedRenderer, Translator
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.quality import Quality
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence


class LandmarkDubGenerator(MouthbankGenerator):
    """Runs a bundle of task ``landmarks``; all else is as :class:`MouthbankGenerator` has it.

    ``translator``: a folder of ``train-engine face-translator``, whose net paints the mouths in place of the bank;
    ``denoiser``: another one, whose net smooths what was painted.
    """

    name = "landmark-dub"

    def __init__(
        self,
        bundle: Path | None = None,
        identity: Path | Bank | None = None,
        strength: float = 1.0,
        backend: str = AUTO,
        silence: Silence = AUTO_SILENCE,
        quality: Quality = AUTO_QUALITY,
        translator: Path | None = None,
        denoiser: Path | None = None,
    ) -> None:
        if denoiser is not None and translator is None:
            raise ConfigError("nothing to smooth for", f"--denoiser {denoiser}", "give --translator, too")
        self._translator = None if translator is None else Translator(translator, backend)
        size = 0 if self._translator is None else self._translator.size
        self._denoiser = None if denoiser is None else Denoiser(denoiser, size, backend)
        super().__init__(bundle, identity, strength, None, backend, False, silence, quality)
        spec = None if bundle is None else bundles.load(bundle).spec
        self.terms = "" if spec is None else f"{spec.licence}. {spec.notice}".strip()

    def _renderer(self, bank: Bank, inside: Inside | None) -> Renderer:
        if self._translator is None:
            return super()._renderer(bank, inside)
        return TranslatedRenderer(bank, inside, self._translator, self._denoiser)
