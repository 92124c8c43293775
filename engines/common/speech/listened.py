"""The speech net learns two things of a sound at once: which one it is, and what the Whisper encoder hears in it."""

from __future__ import annotations

import numpy as np
import torch

from engines.common.augment import Augmentation
from engines.common.dataset import evenly
from engines.common.engine import Work
from engines.common.loop import Losses
from engines.common.speech.losses import phone_loss
from engines.common.speech.network import STRIDE, SpeechNet
from engines.common.speech.vector_map import VectorMap
from engines.common.speech.vectors import LATE, ListenedSpeech, vector_loss
from realtime_dub.audio.frontends.logmel import LogMel, LogMelSpec

VECTOR_WEIGHT = 2.0
CROPPED = 800  # frames of a validation track that are heard


class Listened:
    """What a run has of vectors: their map, found from its tracks, and tracks of held-out voices to measure with."""

    def __init__(self, work: Work, components: int, validation_tracks: int) -> None:
        self._dataset = work.dataset
        self._entries = work.dataset.listened("train")
        self._held = evenly(work.dataset.listened("validation"), validation_tracks)
        self.map = VectorMap(components)
        self.map.fit(work.dataset, self._entries)

    def speech(self, spec: LogMelSpec, seed: int, augmentation: Augmentation) -> ListenedSpeech:
        return ListenedSpeech(self._dataset, self._entries, spec, seed, self.map, augmentation)

    def figures(self, net: SpeechNet) -> dict[str, float]:
        """The share of the vectors' components that the net explains in voices kept out, clean."""
        front_end, wrong, all_of = LogMel(LogMelSpec()), 0.0, 0.0
        late = LATE // STRIDE
        assert net.vector_map is not None
        for entry in self._held:
            mel = front_end.compress(np.exp(self._dataset.power(entry)[:CROPPED].astype(np.float32)))
            target = torch.from_numpy(self.map.of(self._dataset.vectors(entry)).astype(np.float32))
            with torch.no_grad():
                found = net.listened(net.sparse_heard(torch.from_numpy(mel)[None])[1])[0, late:]
            target = target[: len(found)]
            wrong += float((((found[: len(target)] - target) ** 2) @ self.map.weight).sum())
            all_of += float(((target**2) @ self.map.weight).sum())
        return {"vectors": round(1 - wrong / max(all_of, 1e-9), 4)}


def listened_losses(
    net: SpeechNet, speech: ListenedSpeech, rng: np.random.Generator, size: int, frames: int, weights: torch.Tensor
) -> Losses:
    """Both losses of one batch."""
    assert net.vector_map is not None
    device = weights.device
    mel, labels, places = (tensor.to(device) for tensor in speech.batch(rng, size, frames))
    logits, hidden = net.sparse_heard(mel)
    found = net.listened(hidden)
    with torch.autocast(device.type, enabled=False):
        vectors = vector_loss(found.float(), speech.tables["vectors"].to(device), places, net.vector_map.weight)
        return {"phone": phone_loss(logits.float(), labels, weights), "vectors": VECTOR_WEIGHT * vectors}
