"""HPMDubbing as a stage of ``train-engine``."""

from __future__ import annotations

from functools import partial

from engines.common.dataset import Dataset
from engines.common.engine import Stage
from engines.hpm import stage
from engines.hpm.published import LAYOUTS as PUBLISHED
from engines.hpm.published import PublishedSet

STAGES = {"speech": Stage(stage.Settings, stage.HpmEngine, filmed=True, spoken=True)}
# How folders lie: those of prepare-dataset, and two that HPMDubbing's authors publish.
LAYOUTS = {"grid": Dataset, **{name: partial(PublishedSet, layout) for name, layout in PUBLISHED.items()}}
