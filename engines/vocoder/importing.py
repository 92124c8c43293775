"""``import-engine hifigan``: a published generator to a bundle."""

from __future__ import annotations

from pathlib import Path

from realtime_dub.errors import DependencyError

LICENCE = "as whoever trained the weights has it"
NOTICE = (
    "Weights of HiFi-GAN (Jungil Kong, Jaehyeon Kim, Jaekyoung Bae: HiFi-GAN: Generative Adversarial Networks for "
    "Efficient and High Fidelity Speech Synthesis, NeurIPS 2020). They were brought by whoever imported them, and did "
    "not come with this program."
)


def import_weights(path: Path, out: Path) -> None:
    """Write the bundle ``out`` of ``path``. Raises UserError."""
    try:
        from engines.vocoder.export import spec_of, write_bundle
        from engines.vocoder.weights import read_generator
    except ImportError as error:
        do = 'run: pip install "realtime-dub[train]"'
        raise DependencyError("cannot build the network without", error.name or str(error), do) from error
    net = read_generator(path)
    write_bundle(net, out, spec_of(net, LICENCE, NOTICE))
