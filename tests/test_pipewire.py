"""What is tried with PulseAudio, with PipeWire in its place: it is what most desktops have."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pipewire import PrivatePipewire, missing

from tests.test_own_mic_pulse import test_it_is_heard_beside_the_voice_and_its_loss_ends_nothing
from tests.test_pulse import (
    test_a_sound_server_that_dies_and_comes_back,
    test_the_cable_of_readme_is_played_into_by_its_name_and_heard_at_its_other_end,
    test_the_hall_hears_the_stage_later_by_exactly_the_delay,
    test_the_program_plays_the_microphone_later_by_its_budget_beside_a_picture,
)
from tests.test_pulse_moves import (
    test_a_microphone_that_goes_and_comes_back_never_hears_the_speaker,
    test_a_speaker_that_goes_and_comes_back_is_in_step_each_time,
    test_the_defaults_may_change_while_it_runs,
)
from tests.test_pulse_refresh import test_nothing_is_looked_for_while_the_sound_server_is_gone

__all__ = [
    "test_a_microphone_that_goes_and_comes_back_never_hears_the_speaker",
    "test_a_sound_server_that_dies_and_comes_back",
    "test_a_speaker_that_goes_and_comes_back_is_in_step_each_time",
    "test_it_is_heard_beside_the_voice_and_its_loss_ends_nothing",
    "test_nothing_is_looked_for_while_the_sound_server_is_gone",
    "test_the_cable_of_readme_is_played_into_by_its_name_and_heard_at_its_other_end",
    "test_the_defaults_may_change_while_it_runs",
    "test_the_hall_hears_the_stage_later_by_exactly_the_delay",
    "test_the_program_plays_the_microphone_later_by_its_budget_beside_a_picture",
]


@pytest.fixture
def pulse(tmp_path: Path) -> Iterator[PrivatePipewire]:
    """In place of the one of ``conftest``."""
    if why := missing():
        pytest.skip(why)
    private = PrivatePipewire(tmp_path)
    private.start()
    yield private
    private.stop()
