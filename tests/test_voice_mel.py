"""The spectrogram of vocoders: the same live as offline, in step with video frames, and sound again."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from realtime_dub.audio.frontends.voice_mel import AT_16K, AT_22K, VoiceMel, VoiceMelSpec
from realtime_dub.face.alignment import TEMPLATE
from realtime_dub.inference.spec import mel_per_frame
from realtime_dub.media import Floats
from realtime_dub.voice.hpm.features import lips_of, voice_vector
from realtime_dub.voice.hpm.griffin_lim import griffin_lim

pytestmark = pytest.mark.computes


def hum(seconds: float, rate: int) -> Floats:
    """Harmonics of a gliding voice, louder and softer."""
    t = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 30 * np.sin(5 * t)) / rate
    made = sum(np.sin(n * phase) / n for n in range(1, 20))
    return np.asarray(0.1 * made * (0.6 + 0.4 * np.sin(9 * t)), np.float32)


@pytest.mark.parametrize("spec", [AT_16K, AT_22K])
@pytest.mark.parametrize("size", [1, 97, 640, 5_000])
def test_pieces_of_any_size_give_the_same(spec: VoiceMelSpec, size: int) -> None:
    sound = hum(0.12 if size == 1 else 0.6, spec.rate)
    whole, live = VoiceMel(spec), VoiceMel(spec)
    wanted = np.concatenate([whole.process(sound), whole.finish()])
    pieces = [live.process(sound[at : at + size]) for at in range(0, len(sound), size)]
    assert np.allclose(np.concatenate([*pieces, live.finish()]), wanted, atol=1e-5)


def test_four_frames_for_each_of_a_video() -> None:
    mel = VoiceMel(AT_16K)
    assert len(mel.process(hum(1.0, 16_000))) + len(mel.finish()) == 4 * 25
    assert [mel_per_frame(*each) for each in ((16_000, 160, 25), (22_050, 220, 25), (16_000, 160, 50))] == [4, 4, 2]
    with pytest.raises(ValueError, match=r"make 3\.333 mel frames for a frame at 30 fps"):
        mel_per_frame(16_000, 160, 30)


def test_a_tone_stands_in_its_band() -> None:
    t = np.arange(16_000) / 16_000
    frame = VoiceMel().process(np.sin(2 * np.pi * 1_000 * t).astype(np.float32))[50]
    filters = AT_16K.filters()
    assert frame.argmax() == filters[round(1_000 * 1_024 / 16_000)].argmax()
    assert VoiceMel().process(np.zeros(2_000, np.float32)).max() == pytest.approx(np.log(1e-5))


@pytest.mark.parametrize("changes", [{"high_hz": 9_000}, {"window": 2_000}, {"low_hz": 8_000}])
def test_what_cannot_be_is_refused(changes: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        VoiceMelSpec(**changes)


@pytest.mark.parametrize("spec", [AT_16K, AT_22K])
def test_a_spectrogram_becomes_sound_that_has_it(spec: VoiceMelSpec) -> None:
    mel = VoiceMel(spec)
    wanted = mel.process(hum(0.8, spec.rate))
    sound = griffin_lim(wanted, spec)
    assert len(sound) == len(wanted) * spec.hop
    found = VoiceMel(spec).process(sound)
    inside = slice(6, min(len(found), len(wanted)) - 6)
    loud = wanted[inside] > -6
    assert np.abs(found[inside] - wanted[inside])[loud].mean() < 0.35


def test_nothing_becomes_nothing() -> None:
    assert griffin_lim(np.zeros((0, 80), np.float32), AT_16K).shape == (0,)
    assert np.abs(griffin_lim(np.full((20, 80), np.log(1e-5), np.float32), AT_16K)).max() < 1e-3


def test_lips_are_in_mouth_widths_whatever_the_face() -> None:
    faces = np.repeat(TEMPLATE[None], 8, 0).astype(np.float32)
    faces[4, [14, 87, 317], 1] += 0.2
    lips = lips_of(faces)
    assert lips.shape == (8, 128)
    assert np.allclose(lips_of(1.7 * faces), lips, atol=1e-4)
    assert np.abs(lips[4, :120]).max() > 1
    assert np.allclose(lips[0, :120], 0, atol=1e-5)
    assert lips_of(faces[:1]).shape == (1, 128)


def test_a_voice_is_known_however_long_it_speaks() -> None:
    low, high = (VoiceMel().process(hum(2.0, rate)) for rate in (16_000, 11_000))  # the second one sounds higher
    one, same, other = voice_vector([low]), voice_vector([low[:90], low[90:]]), voice_vector([high])
    assert one.shape == (256,)
    assert np.array_equal(one, same)
    assert np.abs(one - other).mean() > 0.05
