"""Everybody who is filmed left out in turn: what a net makes of people it has never learnt from.

``python -m engines.mouthbank.leave_out --data PREPARED [--data ...] --out RUNS --config FILE --given STAGE=RUN``
``python -m engines.mouthbank.leave_out --data PREPARED [--data ...] --out RUNS --last-layer RUN``

For each speaker, or for those that ``--leave-out s02,s04`` names together, a net learns from all the others, and is
measured on the clips of who was left out. The first form trains whole nets as ``train-engine mouthbank`` does, and goes
on where it was broken off. The second one learns the last layer of RUN's voice net anew, in closed form
(``last_layer.py``): minutes instead of hours. RUN must not know who is left out. Beside it stands RUN's net as it was,
and in both the built-in net, which may have learnt from them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

from engines.common.dataset import INDEX, Dataset, Entry, read_rows
from engines.common.mouth_figures import Score
from engines.common.people_figures import Rows, show_rows, written
from engines.common.prepare.clip import write_whole
from engines.common.runs import launch
from engines.common.train_engine import CONFIG, resolve
from engines.mouthbank import last_layer
from engines.mouthbank.by_speaker import chosen, measure
from engines.mouthbank.rows import FROZEN, NET, SHUFFLED
from engines.mouthbank.voice_net import load_voice
from realtime_dub.audio.frontends.logmel import LogMelSpec
from realtime_dub.inference.bundle import Bundle, load, load_default

ENGINE, PARTS_OF_RUN = "mouthbank", "data"
FRAME_MS, USUAL_MS = 10, 80
LEFT_OUT, SHIPPED, BEFORE = "left out", "built in", "before"
Learn = Callable[[Sequence[str]], Path]  # from all but these people; returns a bundle


def without(folder: Path, speakers: Sequence[str], out: Path) -> Path:
    """The prepared ``folder`` again, in ``out``: ``speakers`` for validation, and who was for it learnt from.

    Tracks that are for testing, or were dropped, stay so. Nothing but the index is copied. Returns ``out``.
    """
    rows = list({row["track"]: row for row in read_rows(folder / INDEX)}.values())
    learnt = {row["speaker"] for row in rows if row["part"] == "train"}
    out.mkdir(parents=True, exist_ok=True)
    for each in folder.iterdir():
        if each.name != INDEX and not (out / each.name).exists():
            (out / each.name).symlink_to(each.resolve())
    told = [row | {"part": _part(row["part"], row["speaker"] in speakers, row["speaker"] in learnt)} for row in rows]
    write_whole(out / INDEX, "".join(json.dumps(row) + "\n" for row in told).encode())
    return out


def _part(part: str, left_out: bool, learnt: bool) -> str:
    """Of a track, by whether its speaker is left out, and was learnt from before."""
    if left_out:
        return part and "validation"
    return "train" if part == "validation" and not learnt else part


def whole_runs(data: Sequence[Path], out: Path, config: Path | None, given: dict[str, Path], ms: int) -> Learn:
    """Whole nets, each in the run's folder ``out/SPEAKER``."""

    def learn(speakers: Sequence[str]) -> Path:
        folder = out / "-".join(speakers)
        parts = [without(each, speakers, folder / PARTS_OF_RUN / each.name) for each in data]
        again = (folder / CONFIG).exists()
        run, todo = resolve(ENGINE, parts, folder, None if again else config, None, given, resume=True)
        launch(run, folder, todo, 1, False)
        return folder / ("bundle" if ms == USUAL_MS else f"bundle-{ms}")

    return learn


def last_layers(dataset: Dataset, run: Path, out: Path, ms: int) -> Learn:
    """Nets that differ from the one of ``run`` in their last layer; each sound is heard once."""
    net, spec = load_voice(run).ahead(ms // FRAME_MS), LogMelSpec()
    clips = [dataset.clip(each) for each in learnable(dataset)]
    features = [last_layer.heard(net, clip, spec) for clip in clips]

    def learn(speakers: Sequence[str]) -> Path:
        others = [place for place, clip in enumerate(clips) if clip.speaker not in speakers]
        found = last_layer.relearnt(net, [clips[k] for k in others], [features[k] for k in others])
        return last_layer.write(found, out / "-".join(speakers) / f"last-layer-{ms}", spec)

    return learn


def learnable(dataset: Dataset) -> list[Entry]:
    """The filmed tracks that may be learnt from. Validation clips of who is trained on by other clips stay kept out."""
    filmed = [each for each in dataset.entries if each.filmed]
    learnt = {each.speaker for each in filmed if each.part == "train"}
    return [e for e in filmed if e.part == "train" or (e.part == "validation" and e.speaker not in learnt)]


def one_by_one(entries: Sequence[Entry]) -> list[list[str]]:
    """All of them, each alone."""
    return [[name] for name in dict.fromkeys(each.speaker for each in entries)]


def rows_of(
    groups: Sequence[Sequence[str]], learn: Learn, dataset: Dataset, entries: Sequence[Entry], beside: dict[str, Bundle]
) -> Rows:
    """Everybody by a net without them, with the floors of that net, and by the nets ``beside``."""
    found: dict[str, list[Score]] = {name: [] for name in (LEFT_OUT, *beside, FROZEN, SHUFFLED)}
    for group in groups:
        own = [entry for entry in entries if entry.speaker in group]
        rows = measure(load(learn(group)), dataset, own, hand_back=True)
        found[LEFT_OUT] += rows[NET]
        for floor in (FROZEN, SHUFFLED):
            found[floor] += rows.get(floor, [])
        for name, bundle in beside.items():
            found[name] += measure(bundle, dataset, own, hand_back=True)[NET]
    return {name: scores for name, scores in found.items() if scores}


def main() -> None:
    parser = argparse.ArgumentParser(description="Leave everybody who is filmed out in turn.")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--out", type=Path, required=True, help="a folder for what is learnt")
    parser.add_argument("--config", type=Path, help="as of train-engine")
    parser.add_argument("--given", action="append", default=[], metavar="STAGE=RUN", help="as of train-engine")
    parser.add_argument("--last-layer", type=Path, metavar="RUN", help="learn the last layer of this run's net alone")
    parser.add_argument("--leave-out", action="append", default=[], metavar="NAME,..", help="these; may be repeated")
    parser.add_argument("--look-ahead", type=int, default=160, metavar="MS")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    dataset, out, ms, run = Dataset(*arguments.data), arguments.out, arguments.look_ahead, arguments.last_layer
    shipped = load_default(ENGINE, ms)
    beside = {SHIPPED: shipped}
    if run is None:
        given = {stage: Path(path) for stage, _, path in (each.partition("=") for each in arguments.given)}
        learn = whole_runs(arguments.data, out, arguments.config, given, ms)
    else:
        learn = last_layers(dataset, run, out, ms)
        beside[BEFORE] = load(
            last_layer.write(load_voice(run).ahead(ms // FRAME_MS), out / f"{BEFORE}-{ms}", LogMelSpec())
        )
    filmed = [each for each in dataset.entries if each.filmed and each.part not in ("", "test")]
    groups = [each.split(",") for each in arguments.leave_out] or one_by_one(filmed)
    entries = chosen(filmed, [name for group in groups for name in group], None)
    rows = rows_of(groups, learn, dataset, entries, beside)
    show_rows(f"left out, hand-back, {ms} ms, mean over people", rows, persons=(LEFT_OUT, *beside))
    told = {"look_ahead_ms": ms, "hand_back": True, "built_in": shipped.label, "rows": written(rows)}
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
