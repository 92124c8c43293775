"""Write bundles anew from the weights in them: ``python -m engines.mouthbank.rewrite BUNDLE [BUNDLE ...]``.

For a program that wants a graph to tell more than it did when the net was trained, or a trunk beside it. Weights, and
so what the net makes of a voice, stay what they are; so do the version and what the spec says of data.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from engines.mouthbank.export import export_bundle
from engines.mouthbank.from_bundle import shipped_net
from engines.mouthbank.usual import write
from realtime_dub.errors import BundleError
from realtime_dub.inference.bundle import load


def rewrite(folder: Path) -> Path:
    """The bundle in ``folder``, in its place. Raises BundleError for one whose net is no voice net alone."""
    spec = load(folder).motion
    if (net := shipped_net(folder)) is None:
        raise BundleError("cannot write anew", f"{folder}: its net is not a voice net alone", "train it anew")
    export_bundle(net, spec.audio, folder, spec.version, spec.training_data)
    return folder if spec.usual is None else write(folder, spec.usual)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write bundles anew from the weights in them.")
    parser.add_argument("bundle", type=Path, nargs="+")
    for folder in parser.parse_args().bundle:
        print(rewrite(folder))


if __name__ == "__main__":
    main()
