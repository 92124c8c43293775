"""A net alone, speaker by speaker: what it makes of people, and how sure that is.

``python -m engines.mouthbank.by_speaker --data PREPARED [--data ...] [--bundle FOLDER] [--hand-back] [--json F]``

The prepared folders have one speaker each or several. A speaker in two of them is one person. Every speaker is
measured with the same net. A net trained without a speaker gives that speaker's row of a leave-one-out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from engines.common.dataset import PARTS, Dataset, Entry, evenly
from engines.common.people_figures import Rows, show_rows, written
from engines.mouthbank.evaluate import ALL, entries_of, run_clip
from engines.mouthbank.rows import NET, SHUFFLED, scores
from realtime_dub.errors import ConfigError
from realtime_dub.inference.bundle import Bundle, load, load_default


def chosen(entries: Sequence[Entry], speakers: Sequence[str], most: int | None) -> list[Entry]:
    """Of ``speakers``, or of all, at most ``most`` tracks each, evenly chosen. Raises ConfigError for unknown ones."""
    known = list(dict.fromkeys(entry.speaker for entry in entries))
    if unknown := sorted(set(speakers) - set(known)):
        raise ConfigError("no tracks of speaker", unknown[0], f"choose of {', '.join(sorted(known))}")
    own = {name: [entry for entry in entries if entry.speaker == name] for name in known if name in (speakers or known)}
    return [entry for each in own.values() for entry in evenly(each, most or len(each))]


def measure(bundle: Bundle, dataset: Dataset, entries: Sequence[Entry], hand_back: bool = False) -> Rows:
    """The scores of every row, through the code that runs live."""
    results = [run_clip(bundle, dataset.clip_as_filmed(entry)) for entry in entries]
    return scores(results, [entry.speaker for entry in entries], hand_back)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a motion net speaker by speaker.")
    parser.add_argument("--data", type=Path, required=True, action="append", help="prepared folder; may be repeated")
    parser.add_argument("--part", choices=(*PARTS, ALL), default=ALL)
    parser.add_argument("--speaker", action="append", default=[], help="this one alone; may be repeated")
    parser.add_argument("--of-each", type=int, metavar="N", help="at most so many tracks of each speaker")
    parser.add_argument("--bundle", type=Path, help="the built-in one without it")
    parser.add_argument("--hand-back", action="store_true", help="silence shows the live mouth")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    bundle = load(arguments.bundle) if arguments.bundle else load_default("mouthbank")
    dataset = Dataset(*arguments.data)
    entries = chosen(entries_of(dataset, arguments.part), arguments.speaker, arguments.of_each)
    rows = measure(bundle, dataset, entries, arguments.hand_back)
    show_rows(f"{bundle.label}, {len(entries)} tracks, mean over people", rows, persons=(NET, SHUFFLED))
    told = {"bundle": bundle.label, "part": arguments.part, "hand_back": arguments.hand_back, "rows": written(rows)}
    if arguments.json:
        arguments.json.write_text(json.dumps(told, indent=1) + "\n")
    print(json.dumps(told))


if __name__ == "__main__":
    main()
