"""``import-engine landmark-dub``: the folder of the three published files, to a bundle."""

from __future__ import annotations

from pathlib import Path

from engines.common import imported
from engines.landmark_dub import bundle_files
from engines.landmark_dub.weights import read_weights
from realtime_dub.inference.bundle import load
from realtime_dub.mouth.mouthbank.landmarks import LandmarkStream

LICENCE = "none stated by its authors: ask them before you publish what it makes"
NOTICE = (
    "Weights of unsupervised generative video dubbing (tanjimin/unsupervised-video-dubbing), trained on LRW, whose "
    "licence forbids commercial use. They were brought by whoever imported them, and did not come with this program."
)


def import_weights(folder: Path, out: Path) -> None:
    """Write the bundle ``out`` of the networks in ``folder``. Raises UserError."""
    imported.check_place(out, bundle_files.MODEL)
    weights = read_weights(folder)
    graph = imported.graph_of("landmark_dub")
    model = graph.model_of(weights)
    spec = bundle_files.described("landmark-dub-published", "", model, 0, LICENCE, NOTICE)
    imported.write(out, spec, model, lambda: LandmarkStream(load(out)), ours=True)
