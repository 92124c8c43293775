"""Writes what the training kit writes for a server of pages, in no time: ``prepare|train FILM FOLDER``.

It waits for a file ``go`` beside the film before it is done with a training. A film of the text ``bad`` is refused.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

REPORT = """# Recording: film.mp4

2 things to mend.

| looked at | found | |
|---|---|---|
| length | 12 s with a face | the recording is short: a face is seen for 12 s; record 3 minutes and more |
| faces | 0% of the pictures with more than one | good |

Below each picture: what of it is the person.
"""


def main(what: str, film: str, folder: str) -> None:
    place = Path(folder)
    place.mkdir(exist_ok=True)
    if Path(film).read_text() == "bad":
        sys.exit(f"error: cannot make an avatar of {film}: no face was seen; give a film of one person who talks")
    if what == "prepare":
        (place / "report.md").write_text(REPORT)
        return
    began = place / "began"
    began.write_text(began.read_text() + "x" if began.exists() else "x")
    begin_training(place)
    while not (Path(film).parent / "go").exists():
        time.sleep(0.02)
    from toy_avatars import toy_avatar

    shutil.copytree(toy_avatar(place / "made"), place, dirs_exist_ok=True)


def begin_training(place: Path) -> None:
    """Half of the picture net's time is over."""
    for run, stage in ((place / "runs/expression", "expression"), (place / "runs/head", "head")):
        (run / stage).mkdir(parents=True, exist_ok=True)
        (run / stage / "net.safetensors").touch()
        (run / stage / "log.jsonl").write_text('{"step": 9, "seconds": 60}\n')
    (place / "config.json").write_text(json.dumps({"stages": {"picture": {"plan": {"steps": 8000, "minutes": 50}}}}))
    (place / "picture").mkdir(exist_ok=True)
    rows = [{"step": 0, "stage": "picture", "resumed": False}, {"step": 1000, "seconds": 600}]
    rows += [{"step": 1000, "resumed": True}, {"step": 2500, "seconds": 900}]
    (place / "picture/log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (place / "pictures").mkdir(exist_ok=True)
    (place / "pictures/preview-007.png").write_bytes(b"png")


if __name__ == "__main__":
    sys.path.append(str(Path(__file__).parents[1]))
    main(*sys.argv[1:])
