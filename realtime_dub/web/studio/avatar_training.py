"""Avatars that are trained of films that visitors send: one at a time, in turn, by the training kit as a program.

The kit is no part of what runs live, which never imports it (``pipeline/file/avatars``). It gives way to everybody who
is dubbed, ends with the server, and goes on where it was. What a training needs is deleted with its end, the film too.
"""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from realtime_dub.errors import RealtimeDubError, one_line
from realtime_dub.mouth.avatar.packed import write_anew
from realtime_dub.trust import consent
from realtime_dub.web import limits
from realtime_dub.web.confinement import environment
from realtime_dub.web.refusals import Refusal, sentence
from realtime_dub.web.studio import avatar_progress
from realtime_dub.web.studio.agreement import WHO
from realtime_dub.web.studio.avatar_progress import of_preparation, of_training
from realtime_dub.web.studio.avatars import Avatars
from realtime_dub.web.studio.checks import MOST_SAID
from realtime_dub.web.studio.own_avatars import AVATAR, UNDER_WAY, Own, Taking, write
from realtime_dub.web.studio.uploads import Arrival, Uploads

START = (
    f"import os, runpy; getattr(os, 'nice', int)({limits.TRAINING_NICE}); "
    "from realtime_dub.web.confinement import leave_network; leave_network(); "  # the film is a stranger's
    "runpy.run_module('engines.common.avatar_job', run_name='__main__', alter_sys=True)"
)
PROGRAM = (sys.executable, "-P", "-c", START)
WORK, SAID = "work.avatar", "said.txt"  # where the kit works, and what it says
CACHED = ("XDG_CACHE_HOME", "CUDA_VISIBLE_DEVICES")  # of the environment: where it notes which networks it has made
LOOK_S = 0.25
END_S = 5.0
log = logging.getLogger("realtime_dub.web")


class Trainings(Taking):
    """Films become avatars. Blocking, but :meth:`begin`."""

    most_bytes, use = limits.FILM_BYTES, "film"

    def __init__(self, avatars: Avatars, uploads: Uploads, most: int, program: tuple[str, ...] = PROGRAM) -> None:
        """``most``: films and what was trained of them, that are kept at a time; 0 = none is taken."""
        super().__init__(avatars.folder, uploads, None, avatars.lock)
        self.most, self._avatars, self._program = most, avatars, program
        self._wake, self._closing = threading.Event(), threading.Event()
        self._at_work: tuple[str, subprocess.Popen[bytes]] | None = None
        self._thread = threading.Thread(target=self._main, name="avatar training", daemon=True)
        if most:
            self._thread.start()

    # Films that come.

    def _placed(self, arrival: Arrival, place: Path, found: dict[str, Any]) -> Own:
        self.let_in(arrival.visitor)
        film = f"film{arrival.path.suffix}"
        arrival.path.rename(place / film)
        return Own(state="waiting", film=film, seconds=found["seconds"], since_s=time.time(), visitor=arrival.visitor)

    def _taken(self, name: str) -> dict[str, Any]:
        """It is in line."""
        self._wake.set()
        return self._told(name)

    def let_in(self, visitor: str) -> None:
        """Whether one more is taken, before anything of it comes. Raises Refusal."""
        trained = [own for own in self._avatars.all().values() if own.trained]
        mine = [own for own in trained if own.visitor == visitor and own.state in UNDER_WAY]
        if len(mine) >= limits.TRAININGS_PER_VISITOR:
            raise Refusal(429, "You have avatars that are being made.", "Wait for them, or cancel one.")
        if len([own for own in trained if own.state != "failed"]) >= self.most:
            raise Refusal(507, "The server keeps no more avatars.", "Delete one of yours, or ask who runs the server.")
        if shutil.disk_usage(self._avatars.folder).free < limits.AVATAR_LEAST_ROOM:
            raise Refusal(507, "The server has no room for the film.", "Tell the person who runs the server.")

    # What whoever knows the name may ask.

    def tell(self, names: list[str]) -> list[dict[str, Any]]:
        """Of those that exist."""
        told = []
        for name in names:
            with suppress(Refusal):
                told.append(self._told(name))
        return told

    def agree(self, name: str) -> dict[str, Any]:
        """Train it, whatever is wrong with the recording. Raises Refusal."""
        with self.lock:
            own = self._avatars.own(name)
            if own.state != "checked":
                raise Refusal(409, "There is nothing to agree to.", "Look at the avatar's state.")
            self._write(name, own.model_copy(update={"state": "waiting", "agreed": True}))
        self._wake.set()
        return self._told(name)

    def remove(self, name: str) -> str:
        """The avatar, and all that it is made of; a training ends. As :meth:`Avatars.remove`. Raises Refusal."""
        return self._avatars.remove(name, self._stop)

    def preview(self, name: str) -> Path:
        """The newest picture. Raises Refusal."""
        self._avatars.own(name)
        found = avatar_progress.newest_preview(self._avatars.folder / name / WORK)
        if found is None:
            raise Refusal(404, "There is no picture yet.", "Look again in some minutes.")
        return found

    def close(self) -> None:
        """End what is at work, which goes on with the next server. Idempotent."""
        self._closing.set()
        self._wake.set()
        self._checks.close()
        if self._thread.ident is not None:
            self._thread.join(END_S)

    def _told(self, name: str) -> dict[str, Any]:
        own, told = self._avatars.own(name), self._avatars.tell(name)
        folder = self._avatars.folder / name / WORK
        if own.state == "waiting":
            told |= {"ahead": self._ahead(name), "agreed": own.agreed}
        if own.state in ("preparing", "training"):
            training = own.state == "training"
            found = of_training(folder) if training else of_preparation(folder, own.seconds)
            told |= {"stage": found.stage, "share": found.share, "left_s": found.left_s}
            told["preview"] = preview.stem if (preview := avatar_progress.newest_preview(folder)) else None
        return told

    def _ahead(self, name: str) -> int:
        """How many come before it."""
        waiting = [each for each, own in self._avatars.all().items() if own.state == "waiting"]
        return waiting.index(name) + (self._at_work is not None) if name in waiting else 0

    # The work.

    def _main(self) -> None:
        for name, own in self._avatars.all().items():
            if own.state in ("preparing", "training"):  # an earlier server's
                self._write(name, own.model_copy(update={"state": "waiting"}))
        while not self._closing.is_set():
            self._wake.clear()
            waiting = [(name, own) for name, own in self._avatars.all().items() if own.state == "waiting"]
            if not waiting:
                self._wake.wait()
                continue
            try:
                self._work_at(*waiting[0])
            except Exception:  # one film is no reason to make no more avatars
                log.exception("an avatar was not made")
                self._fail(waiting[0][0], "The server could not work at it")

    def _work_at(self, name: str, own: Own) -> None:
        self._write(name, own.model_copy(update={"state": "training" if own.agreed else "preparing"}))
        folder = self._avatars.folder / name
        code = self._run(name, "train" if own.agreed else "prepare", folder / own.film, folder / WORK)
        if self._closing.is_set() or not (folder / "state.json").is_file():
            return
        if code:
            self._fail(name, _why(folder, code))
        elif own.agreed:
            self._finish(name, own)
        else:
            found = avatar_progress.findings(folder / WORK)
            self._write(name, own.model_copy(update={"state": "checked", "findings": found}))

    def _run(self, name: str, what: str, film: Path, folder: Path) -> int:
        """Blocking, until it ends, by itself or because it has to."""
        command = [*self._program, what, str(film), str(folder)]
        with (folder.parent / SAID).open("wb") as said:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, env=environment(*CACHED)
            )
        self._at_work, ends_s = (name, process), time.monotonic() + limits.TRAINING_S
        try:
            while process.poll() is None and not self._closing.is_set() and time.monotonic() < ends_s:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(LOOK_S)
        finally:
            self._at_work = None
            _end(process)
        return process.returncode

    def _finish(self, name: str, own: Own) -> None:
        """What shows the person stays; film, pictures and checkpoints go."""
        folder = self._avatars.folder / name
        shutil.rmtree(folder / AVATAR, ignore_errors=True)
        try:
            write_anew(folder / WORK, folder / AVATAR)
            _record_consent(folder / AVATAR)
        except (RealtimeDubError, OSError) as error:
            self._fail(name, str(error).partition("; ")[0])
            return
        self._write(name, own.model_copy(update={"state": "kept", "visitor": ""}))
        self._clear(name, own)

    def _fail(self, name: str, why: str) -> None:
        with suppress(Refusal):
            own = self._avatars.own(name)
            self._clear(name, own)  # who is told that it failed finds nothing of the film
            self._write(name, own.model_copy(update={"state": "failed", "why": sentence(why), "visitor": ""}))

    def _clear(self, name: str, own: Own) -> None:
        folder = self._avatars.folder / name
        (folder / own.film).unlink(missing_ok=True)
        shutil.rmtree(folder / WORK, ignore_errors=True)

    def _write(self, name: str, own: Own) -> None:
        """Unless it was removed meanwhile."""
        with self.lock, suppress(Refusal):
            self._avatars.own(name)
            write(self._avatars.folder / name, own)

    def _stop(self, name: str) -> None:
        at_work = self._at_work
        if at_work is not None and at_work[0] == name:
            at_work[1].kill()
            with suppress(subprocess.TimeoutExpired):
                at_work[1].wait(END_S)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


def _record_consent(avatar: Path) -> None:
    """Whoever sent the film has said that its person agrees: the page asks for no other. Raises UserError."""
    _, recording = consent.of_folder(avatar)
    consent.write_beside(avatar, consent.give(WHO, "avatar", recording))


def _why(folder: Path, code: int) -> str:
    """What the kit said last, without the names of this machine's files."""
    with suppress(OSError):
        said = re.sub(re.escape(str(folder)) + r"/film\.\w+", "the film", (folder / SAID).read_text("utf-8", "replace"))
        lines = said.replace(str(folder), "").splitlines()
        if told := [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]:
            return one_line(told[-1])[:MOST_SAID].partition("; ")[0]
    return f"The training ended early, with code {code}"
