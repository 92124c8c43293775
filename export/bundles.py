"""Which bundles are meant: those that come with an engine, those of a training run, or one folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from export.graph import labelled, parsed
from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.inference.bundle import SPEC, Bundle, folder_of, load
from realtime_dub.paths import WholeFile

WHOLE = "speech"  # the task of what takes a film at once, in sizes that belong together: it has no calls to compare
CONFIG = "config.json"  # of a run of train-engine, beside the bundles that it wrote


def of(name: str, run: Path | None, bundle: Path | None) -> list[Bundle]:
    """Every one is read and checked against its hashes. Raises BundleError, ConfigError."""
    if run is not None and bundle is not None:
        raise ConfigError("cannot export", f"{run} and {bundle}", "give --run or --bundle, not both")
    folders = [bundle] if bundle is not None else _below(name, run)
    found = [load(folder, known=True) for folder in folders]
    for each in found:
        if each.spec.task == WHOLE:
            what = f"{each.label}: it speaks for a whole film at once, on the processor"
            raise BundleError("cannot export", what, "use it as it is")
        if each.spec.engine != name:
            what = f"{each.label}: it is for the engine {each.spec.engine}"
            raise BundleError("cannot export", what, f"run export-engine {each.spec.engine}")
    return found


def network_of(bundle: Bundle) -> bytes:
    """The network's file. Raises BundleError where it has become another one."""
    model = (bundle.folder / bundle.spec.model).read_bytes()
    if hashlib.sha256(model).hexdigest() != sha256_of(bundle):
        raise BundleError("damaged bundle", f"{bundle.folder}: its network was changed", "fetch it again")
    return model


def sha256_of(bundle: Bundle) -> str:
    return bundle.spec.sha256[bundle.spec.model]


def write(bundle: Bundle, model: bytes, out: Path) -> Path:
    """A bundle with this form of its network, which says in its metadata what it is made of; returns its folder."""
    spec = bundle.spec.model_dump(mode="json")
    made = labelled(parsed(model, bundle.label), properties(bundle)).SerializeToString()
    folder = out / bundle.folder.name
    folder.mkdir(parents=True, exist_ok=True)
    spec["sha256"] = {**bundle.spec.sha256, bundle.spec.model: hashlib.sha256(made).hexdigest()}
    WholeFile(folder / bundle.spec.model).write(made)
    for name in set(bundle.spec.sha256) - {bundle.spec.model}:
        WholeFile(folder / name).write(bundle.part(name))
    WholeFile(folder / SPEC).write((json.dumps(spec, indent=1) + "\n").encode())
    return folder


def properties(bundle: Bundle) -> dict[str, str]:
    """What a network's file says of itself: its bundle, its licence and what it was trained on."""
    spec = bundle.spec.model_dump(mode="json", exclude={"sha256"})
    told = {
        "bundle": bundle.label,
        "spec.sha256": hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest(),
        "network.sha256": sha256_of(bundle),
        "licence": bundle.spec.licence,
        "training_data": json.dumps([each.model_dump(mode="json") for each in bundle.spec.training_data]),
    }
    run = bundle.folder.parent / CONFIG
    return told | ({"training_run": hashlib.sha256(run.read_bytes()).hexdigest()} if run.is_file() else {})


def _below(name: str, run: Path | None) -> list[Path]:
    above = run if run is not None else folder_of(name)
    found = sorted(path.parent for path in above.glob(f"bundle*/{SPEC}"))
    if found:
        return found
    if run is not None:
        raise BundleError("no bundle in", str(run), "run train-engine --resume: its last stage writes them")
    others = [path for path in above.parent.glob(f"*/bundle*/{SPEC}") if json.loads(path.read_text())["task"] != WHOLE]
    known = sorted({path.parents[1].name.replace("_", "-") for path in others})
    raise BundleError(
        "no bundle for engine", repr(name), f"choose one of {', '.join(known)}, or give --run or --bundle"
    )
