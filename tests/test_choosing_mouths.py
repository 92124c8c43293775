"""What a bank's mouths are chosen by: the same numbers together as one by one."""

from __future__ import annotations

import numpy as np
import pytest

from realtime_dub.mouth.mouthbank.cavity import missing, missing_each, reach_of_each

pytestmark = pytest.mark.computes


@pytest.mark.parametrize("wanted", [0.0, 0.013, 0.1, 0.31, 0.9])
def test_what_several_pictures_miss_is_what_each_misses(wanted: float) -> None:
    seen = np.random.default_rng(0).uniform(0, 0.4, 200)
    assert missing_each(wanted, reach_of_each(seen)).tolist() == [missing(wanted, float(each)) for each in seen]
