"""What makes sound of a voice's spectrogram, by name: ``griffin-lim``, ``world``, or the folder of a bundle.

Without a name the one that ships, for voices whose spectrograms it knows; for others Griffin and Lim.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from realtime_dub.audio.frontends.voice_mel import VoiceMelSpec
from realtime_dub.inference.bundle import folder_of, load, load_default
from realtime_dub.inference.spec import SpeechSpec
from realtime_dub.media import Floats
from realtime_dub.voice.hpm.griffin_lim import griffin_lim
from realtime_dub.voice.hpm.speaking import SoundMaker, Vocoder, check_fits
from realtime_dub.voice.hpm.world import world

GRIFFIN_LIM, WORLD = "griffin-lim", "world"
SHIPS = "vocoder"  # the engine whose bundle comes with the program


class Arithmetic:
    """A ``SoundMaker`` without a network."""

    def __init__(self, make: Callable[[Floats, VoiceMelSpec], Floats], spec: SpeechSpec) -> None:
        self._make, self._spec = make, VoiceMelSpec(rate=spec.rate, window=spec.window, hop=spec.hop)

    def sound(self, mel: Floats) -> Floats:
        return np.clip(self._make(mel, self._spec), -1.0, 1.0)


ARITHMETIC: dict[str, Callable[[Floats, VoiceMelSpec], Floats]] = {GRIFFIN_LIM: griffin_lim, WORLD: world}


def vocoder_named(name: str | None, folder: Path, spec: SpeechSpec) -> SoundMaker:
    """``folder``: from which a bundle's path counts. Raises BundleError for a bundle of another rate, or none."""
    if name is None:
        return usual_vocoder(spec)
    if name in ARITHMETIC:
        return Arithmetic(ARITHMETIC[name], spec)
    found = Vocoder(load(folder / name))
    check_fits(found, spec)
    return found


def usual_vocoder(spec: SpeechSpec) -> SoundMaker:
    """The one that ships where it fits, else Griffin and Lim."""
    if (folder_of(SHIPS) / "bundle").is_dir():
        found = Vocoder(load_default(SHIPS))
        if (found.spec.rate, found.spec.hop) == (spec.rate, spec.hop):
            return found
    return Arithmetic(griffin_lim, spec)
