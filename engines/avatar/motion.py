"""Stage ``motion``: the nets that move the person, made by the engines whose they are, into the avatar's own folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from engines.common.avatar import run_of
from engines.common.engine import Join, Work, load
from engines.common.runs import begun, done

PARTS = {"expression": "avatar-expression", "head": "avatar-head"}  # bundle -> engine


class Settings(BaseModel):
    """``[motion.engine]`` of the configuration. The nets' own are in their engines' ``config.toml``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int | None = Field(None, ge=1)  # of each net, in place of what its engine says


class Motion(Join):
    """Goes on with what was begun; what is there already is left.

    A recording of a single track has nothing to judge nets by: it moves its avatar itself (``--head recorded``).
    """

    def __init__(self, settings: Settings, work: Work) -> None:
        self._steps = settings.steps
        self._parts = {entry.part for entry in work.dataset.entries if entry.filmed}

    def join(self, out: Path) -> list[Path]:
        if not {"train", "validation"} <= self._parts:
            print("note: the recording is too short for a motion of its own: the avatar moves as recorded", flush=True)
            return []
        return [self._made(engine, part, out) for part, engine in PARTS.items()]

    def _made(self, engine: str, part: str, out: Path) -> Path:
        run = run_of(out, part)
        there = (run / "config.json").exists() or begun(run, part) or done(run, part)
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "config.toml"
            config.write_text(f"[{part}.plan]\nsteps = {self._steps}\nwarm_up = 1\n")
            own = config if self._steps and not there else None
            place: Path = load(engine).train(out, resume=True, config=own)
        return place
