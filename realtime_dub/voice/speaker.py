"""Who speaks, as the speaker net hears it: a vector (256,) of length 1, and how alike two voices are."""

from __future__ import annotations

import numpy as np

from realtime_dub.audio.frontends.voice_mel import VoiceMel
from realtime_dub.audio.resample import StreamResampler
from realtime_dub.errors import BundleError, MediaError
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle, load_default
from realtime_dub.inference.spec import SpeakerSpec
from realtime_dub.media import Floats

ENGINE = "speaker"
LEAST_S = 0.5
MOST_S = 30.0  # of a voice's beginning


class SpeakerVectors:
    """A bundle of task ``speaker``. Raises BundleError for another one."""

    def __init__(self, bundle: Bundle, backend: str = AUTO) -> None:
        if not isinstance(bundle.spec, SpeakerSpec):
            raise BundleError("not a speaker net", bundle.spec.name, "choose a bundle that turns a voice into a vector")
        self.spec = bundle.spec
        self._session = bundle.session(backend)

    def of(self, samples: Floats, rate: int) -> Floats:
        """Of sound (n,). Raises MediaError where that is too short."""
        resampler = StreamResampler(rate, self.spec.audio.rate, 1)
        there = np.concatenate([resampler.process(samples[:, None]), resampler.flush()])[:, 0]
        if len(there) < LEAST_S * self.spec.audio.rate:
            what = f"a sample of {len(there) / self.spec.audio.rate:.1f} s"
            raise MediaError("cannot hear who speaks in", what, "give a second or more")
        front_end = VoiceMel(self.spec.audio)
        there = there[: round(MOST_S * self.spec.audio.rate)]
        return self.of_mel(np.concatenate([front_end.process(there), front_end.finish()]))

    def of_mel(self, mel: Floats) -> Floats:
        """Of a spectrogram (n, bands). Raises BundleError where the network gives something else."""
        found = np.asarray(self._session.run({"mel": np.asarray(mel, np.float32)[None]})["speaker"], np.float32)
        if found.shape != (1, self.spec.vector) or not np.isfinite(found).all():
            raise BundleError("cannot use", f"{self.spec.name}: its vector is none", "fetch it again")
        return np.asarray(found[0])

    def trial(self) -> Floats:
        """The vector of silence."""
        return self.of_mel(np.full((50, self.spec.audio.bands), -11.5, np.float32))


def own_speakers() -> SpeakerVectors:
    """The net that comes with the program."""
    return SpeakerVectors(load_default(ENGINE))


def alike(one: Floats, other: Floats) -> float:
    """Cosine of two vectors: 1 = one voice."""
    return float(one @ other / max(1e-9, float(np.linalg.norm(one) * np.linalg.norm(other))))
