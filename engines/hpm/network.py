"""The network of HPMDubbing, with the names that published checkpoints have.

After Cong et al., "Learning to Dub Movies via Hierarchical Prosody Models" (CVPR 2023). Three levels: the lips say when
a phoneme is spoken, the face how high and how loud, the scene in which mood. Where this differs from what was
published, it does so for padding alone: a face's padded frames are left out of attention, so that a clip's speech does
not depend on what stands beside it in the batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.hpm.layers import Across, Blocks, Postnet, Predictor, Widening, factors, pointwise, sinusoids
from engines.hpm.shapes import BANDS, EMOTIONS, VECTOR, Shape

SLOPE = 0.1


@dataclass(frozen=True)
class Given:
    """A batch. ``phonemes_gone`` (b, p) and ``frames_gone`` (b, t) are True where a row is padding; None = nowhere."""

    phonemes: Tensor  # (b, p), 1 .. phonemes - 1; 0 = padding
    lips: Tensor  # (b, t, lips)
    face: Tensor  # (b, t, 256) valence and arousal, or (b, 1, 256) where it is the same all along
    speaker: Tensor  # (b, 256)
    scene: Tensor  # (b, 256)
    phonemes_gone: Tensor | None = None
    frames_gone: Tensor | None = None


@dataclass(frozen=True)
class Prosody:
    """Of mel frames (b, 4t): what was measured, for training; else factors for what is predicted."""

    pitch: Tensor | None = None
    energy: Tensor | None = None
    pitch_scale: Tensor | float = 1.0
    energy_scale: Tensor | float = 1.0


@dataclass(frozen=True)
class Spoken:
    """What the network gives, of 4t mel frames, or as many for each video frame as its shape says."""

    mel: Tensor  # (b, 4t, 80) natural logarithm
    refined: Tensor  # behind the postnet
    pitch: Tensor  # (b, 4t)
    energy: Tensor  # (b, 4t)
    read: Tensor  # (b, t, phonemes) logits of what the lips say
    heard: Tensor  # (b, 4t, phonemes) logits of what is spoken
    emotion: Tensor | None  # (b, 8) logits
    shares: Tensor  # (b, t, p) of each phoneme in what a video frame hears


class Text(Blocks):
    """Phonemes to a row of vectors."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(VECTOR, shape.text_heads, shape.text_layers, *_inner(shape))
        self.src_word_emb = nn.Embedding(shape.phonemes + 1, VECTOR, padding_idx=0)

    def forward(self, phonemes: Tensor, gone: Tensor | None) -> Tensor:
        return super().forward(self.src_word_emb(phonemes), gone)


class Lips(Blocks):
    """Features of lips to a row of vectors. Its table of phonemes is read by nobody; published files carry it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape.lips, shape.lip_heads, shape.lip_layers, *_inner(shape))
        if shape.speakers:
            self.src_word_emb = nn.Embedding(shape.phonemes + 1, shape.lips, padding_idx=0)
        self.fc_out = nn.Linear(shape.lips, VECTOR)

    def forward(self, lips: Tensor, gone: Tensor | None) -> Tensor:
        found: Tensor = self.fc_out(super().forward(lips, gone))
        return found


class Classifier(nn.Module):
    """Logits of each vector of a row."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(VECTOR, classes)

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.classifier(x)
        return found


class Aligner(nn.Module):
    """The lips ask the phonemes: which of them is spoken in which frame."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.encoder, self.lip_encoder = Text(shape), Lips(shape)
        self.attn, self.attn_text_spk = Across(VECTOR, 8), Across(VECTOR, 8)
        self.ups = nn.ModuleList([Widening(VECTOR, times) for times in factors(shape.upsampling)])
        self.proj_con = nn.Conv1d(VECTOR, VECTOR, 1, bias=False)
        self.CTC_classifier_MDA = Classifier(shape.phonemes)

    def forward(self, given: Given) -> tuple[Tensor, Tensor, Tensor]:
        """(b, 4t, 256), logits (b, t, phonemes), and shares (b, t, p) of the phonemes that were given."""
        lips = self.lip_encoder(given.lips, given.frames_gone)
        text = self.encoder(given.phonemes, given.phonemes_gone)
        text = text + self.attn_text_spk(text, given.speaker[:, None], None)
        heard, shares = self.attn.heard(lips, text, given.phonemes_gone)
        x = pointwise(self.proj_con, heard)
        read, x = self.CTC_classifier_MDA(x), x.transpose(1, 2)
        for widen in self.ups:
            x = widen(functional.leaky_relu(x, SLOPE))
        return x.transpose(1, 2), read, shares


class ProsodyAdaptor(nn.Module):
    """Valence to pitch, arousal to energy; each as one of 256 learnt vectors."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.emo_fc_2_val, self.emo_fc_2_aro = _two(VECTOR), _two(VECTOR)
        self.W, self.Uo, self.Um = (nn.Linear(VECTOR, VECTOR) for _ in range(3))
        self.bo, self.bm = (nn.Parameter(torch.ones(VECTOR)) for _ in range(2))
        self.wo, self.wm = nn.Linear(VECTOR, 1), nn.Linear(VECTOR, 1)
        self.pitch_predictor, self.energy_predictor = (Predictor(VECTOR, shape.prosody) for _ in range(2))
        bounds = torch.linspace(-3.0, 3.0, shape.bins - 1)  # in standard deviations, until a data set gives its own
        self.pitch_bins, self.energy_bins = (nn.Parameter(bounds.clone(), requires_grad=False) for _ in range(2))
        self.pitch_embedding, self.energy_embedding = (nn.Embedding(shape.bins, VECTOR) for _ in range(2))
        self.proj_con = nn.Conv1d(2 * VECTOR, VECTOR, 1, bias=False)

    def forward(self, x: Tensor, given: Given, gone: Tensor | None, prosody: Prosody) -> tuple[Tensor, Tensor, Tensor]:
        """(b, 4t, 256) with prosody; pitch and energy (b, 4t)."""
        asked = self.W(x)
        away = None if given.frames_gone is None or given.face.shape[1] == 1 else given.frames_gone
        high = additive(asked, self.Uo(self.emo_fc_2_val(given.face)) + self.bo, self.wo, away)
        loud = additive(asked, self.Um(self.emo_fc_2_aro(given.face)) + self.bm, self.wm, away)
        pitch = self.pitch_predictor(high, gone) * prosody.pitch_scale
        energy = self.energy_predictor(loud, gone) * prosody.energy_scale
        pitched = self.pitch_embedding(binned(pitch if prosody.pitch is None else prosody.pitch, self.pitch_bins))
        loudness = energy if prosody.energy is None else prosody.energy
        both = torch.cat([x + pitched, x + self.energy_embedding(binned(loudness, self.energy_bins))], -1)
        return pointwise(self.proj_con, both), pitch, energy


def additive(asked: Tensor, row: Tensor, weigh: nn.Linear, gone: Tensor | None) -> Tensor:
    """Additive attention: every sum of a query (b, n, w) and a row (b, m, w), weighed and summed over the row."""
    scores = weigh(torch.tanh(asked[:, :, None] + row[:, None]))[..., 0]
    if gone is not None:
        scores = scores.masked_fill(gone[:, None], -math.inf)
    return asked + scores.softmax(2) @ row  # shares add up to one


def binned(values: Tensor, bounds: Tensor) -> Tensor:
    """Between which of the rising bounds each value lies."""
    return (values[..., None] > bounds).sum(-1)


class SceneBooster(nn.Module):
    """The scene asks what is spoken: one vector of the mood, and which of eight emotions it is."""

    def __init__(self) -> None:
        super().__init__()
        self.emo_fc_2_sence = _two(VECTOR // 2)
        self.Emo_attention = Across(VECTOR, 4)
        self.emo_classifier = nn.Module()
        self.emo_classifier.layers = nn.ModuleList([nn.Linear(VECTOR, len(EMOTIONS))])

    def forward(self, x: Tensor, scene: Tensor, gone: Tensor | None) -> tuple[Tensor, Tensor]:
        """(b, 256) and logits (b, 8). The scene is one for the clip: every frame of it would ask the same."""
        mood = self.Emo_attention(self.emo_fc_2_sence(scene)[:, None], x, gone)[:, 0]
        return mood, self.emo_classifier.layers[0](mood)


class Hpm(nn.Module):
    """The whole network."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.MDA, self.APA = Aligner(shape), ProsodyAdaptor(shape)
        if shape.scene:
            self.STB = SceneBooster()
        self.decoder = Blocks(VECTOR, shape.decoder_heads, shape.decoder_layers, *_inner(shape))
        self.mel_linear, self.postnet = nn.Linear(VECTOR, BANDS), Postnet(shape.postnet)
        self.proj_fusion = nn.Conv1d(3 * VECTOR, VECTOR, 1, bias=False)
        self.pro_output_os, self.pro_output_emo = (nn.Conv1d(2 * VECTOR, VECTOR, 1, bias=False) for _ in range(2))
        self.CTC_classifier_mel = Classifier(shape.phonemes)
        if shape.speakers:
            self.speaker_emb = nn.Embedding(shape.speakers, VECTOR)
        if shape.emotion_rows:
            self.emotion_emb = nn.Embedding(shape.emotion_rows, VECTOR, padding_idx=shape.emotion_rows - 1)

    def forward(self, given: Given, prosody: Prosody | None = None) -> Spoken:
        gone = None if given.frames_gone is None else given.frames_gone.repeat_interleave(self.shape.upsampling, 1)
        text, read, shares = self.MDA(given)
        x, pitch, energy = self.APA(
            with_speaker(self.pro_output_os, text, given.speaker) + text, given, gone, prosody or Prosody()
        )
        mood, emotion = self._mood(with_speaker(self.pro_output_os, x, given.speaker) + x, given, gone)
        fused = pointwise(self.proj_fusion, torch.cat([text, x, mood.expand_as(x)], -1)) + text
        made = self.decoder(fused, gone)
        mel = self.mel_linear(made)
        heard = self.CTC_classifier_mel(made)
        return Spoken(mel, self.postnet(mel) + mel, pitch, energy, read, heard, emotion, shares)

    def _mood(self, x: Tensor, given: Given, gone: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if not self.shape.scene:
            return x, None
        mood, emotion = self.STB(x, given.scene, gone)
        return with_speaker(self.pro_output_emo, mood[:, None], given.speaker), emotion


def with_speaker(join: nn.Conv1d, x: Tensor, speaker: Tensor) -> Tensor:
    """A row (b, n, 256) and who speaks (b, 256), joined."""
    seen, spoken = join.weight[:, :, 0].split(VECTOR, 1)  # what is the same all along is reckoned once
    return functional.linear(x, seen) + functional.linear(speaker[:, None], spoken)


def lengthened(net: Hpm, mel_frames: int) -> Hpm:
    """``net`` with positions, in place, for clips of so many mel frames, and as many phonemes as they have video
    frames: they are computed, not learnt.
    """
    frames = mel_frames // net.shape.upsampling
    for part, most in ((net.MDA.encoder, frames), (net.MDA.lip_encoder, frames), (net.decoder, mel_frames)):
        width = part.position_enc.shape[-1]
        part.position_enc = nn.Parameter(sinusoids(most + 1, width)[None], requires_grad=False)
    return net


def _two(inner: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(VECTOR, inner), nn.ReLU(), nn.Linear(inner, VECTOR), nn.ReLU())


def _inner(shape: Shape) -> tuple[int, int, int, float]:
    return shape.inner, shape.kernel, shape.positions, shape.dropout
