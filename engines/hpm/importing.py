"""``import-engine hpm``: a published checkpoint to a bundle."""

from __future__ import annotations

from pathlib import Path

from realtime_dub.errors import DependencyError

LICENCE = "as whoever trained the weights has it: the published ones state none, the films they saw are not free"
NOTICE = (
    "Weights of HPMDubbing (Gaoxiang Cong, Liang Li, Yuankai Qi, Zheng-Jun Zha, Qi Wu, Wenyu Wang, Bin Jiang, "
    "Ming-Hsuan Yang, Qingming Huang: Learning to Dub Movies via Hierarchical Prosody Models, CVPR 2023). They were "
    "brought by whoever imported them, and did not come with this program."
)


def import_weights(path: Path, out: Path) -> None:
    """Write the bundle ``out`` of ``path``. Raises UserError."""
    try:
        from engines.hpm.export import Knows, spec_of, write_bundle
        from engines.hpm.slots import OTHERS
        from engines.hpm.sound import FILMS_SOUND, LECTURES_SOUND
        from engines.hpm.symbols import SYMBOLS
        from engines.hpm.weights import read_network
    except ImportError as error:
        do = 'run: pip install "realtime-dub[train]"'
        raise DependencyError("cannot build the network without", error.name or str(error), do) from error
    net = read_network(path)
    sound = FILMS_SOUND if net.shape.scene else LECTURES_SOUND
    write_bundle(net, out, spec_of(net, SYMBOLS, sound, LICENCE, NOTICE, knows=Knows(slots=OTHERS)))
