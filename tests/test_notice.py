"""A notice that is heard: once, at the start, over the voice, in blocks of any size; and no mouth hears it."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from realtime_dub.config import LiveConfig, build
from realtime_dub.errors import ConfigError, DependencyError
from realtime_dub.pipeline.assembly import notice_of
from realtime_dub.pipeline.live.run import run_live
from realtime_dub.trust.notice import AFTER_S, RAMP_S, VOICE, Notice, chime

RATE = 48_000


@pytest.mark.computes
@pytest.mark.parametrize("step", [1, 480, 1_920, 7_001])
def test_blocks_of_any_size_give_the_same(step: int) -> None:
    notice = Notice(chime(RATE), RATE)
    voice = np.full((3 * RATE, 2), 0.5, np.float32)
    whole = notice.over(voice, 0)
    if step == 1:
        parts = [notice.over(voice[k : k + 1], k) for k in range(RATE, RATE + 3_000)]
        assert np.array_equal(np.concatenate(parts), whole[RATE : RATE + 3_000])
        return
    parts = [notice.over(voice[k : k + step], k) for k in range(0, len(voice), step)]
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.computes
def test_it_is_over_the_voice_which_is_softer_meanwhile_and_back_after_it() -> None:
    heard = np.zeros(RATE // 2, np.float32)
    voice = np.full((3 * RATE, 1), 0.5, np.float32)
    after = Notice(heard, RATE).over(voice, 0)[:, 0]
    first, last = round(AFTER_S * RATE), round((AFTER_S + 0.5 + 2 * RAMP_S) * RATE)
    assert (after[:first] == 0.5).all()
    assert (after[last:] == 0.5).all()
    middle = (first + last) // 2
    assert after[middle] == pytest.approx(0.5 * VOICE)
    assert np.abs(np.diff(after)).max() < 0.001  # no click
    assert (voice == 0.5).all()  # what others read as well


@pytest.mark.computes
def test_a_loud_voice_does_not_make_it_clip_over() -> None:
    loud = Notice(np.ones(RATE, np.float32), RATE).over(np.ones((3 * RATE, 1), np.float32), 0)
    assert loud.max() == 1.0


@pytest.mark.computes
def test_what_cannot_be_said_is_refused() -> None:
    assert notice_of("off", RATE) is None
    for text in ("bell", "spoken:", "spoken:   "):
        with pytest.raises(ConfigError, match="notice"):
            build(LiveConfig, notice=text)
    try:
        assert isinstance(notice_of("spoken:This call is dubbed", RATE), Notice)
    except DependencyError:
        pytest.skip("no espeak-ng here")


@pytest.mark.slow
def test_a_recording_of_a_call_has_it(tmp_path: Path) -> None:
    """The built-in portrait, to a silent voice: what is heard is the chime, and the mouth stays as it is."""
    import wave

    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(2 * 16_000 * 4))
    out = tmp_path / "call.mkv"
    config = build(LiveConfig, webcam="demo", mic=str(tmp_path / "silence.wav"), to=(str(out),), seconds=3.0,
                   notice="chime", budget_ms=600, quiet=True)  # fmt: skip
    run_live(config)
    with av.open(str(out)) as film:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])
        rate = film.streams.audio[0].rate
    loud = np.flatnonzero(np.abs(sound) > 0.05) / rate
    assert AFTER_S - 0.1 < loud[0] < AFTER_S + 0.2
    assert 0.3 < loud[-1] - loud[0] < 0.9
