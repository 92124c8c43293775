"""The generator: a net's motion in the person's own measure, drawn with the person's own mouth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from realtime_dub.errors import BundleError, ConfigError
from realtime_dub.face.scheme68 import scheme68
from realtime_dub.face.types import FaceTracker, Points, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference import bundle as bundles
from realtime_dub.media import MS, Blendshapes, Samples
from realtime_dub.mouth.blendshapes import BlendshapeSolver
from realtime_dub.mouth.contract import (
    FramePicker,
    ImplausibleMouth,
    Latency,
    MouthPatch,
    OwnVoiceLearnt,
    Progress,
)
from realtime_dub.mouth.fade import TurnFade
from realtime_dub.mouth.gate import FADE_IN_NS, SpeechGate
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.calibration import CalibrationFrames, calibrate
from realtime_dub.mouth.mouthbank.inside import Inside
from realtime_dub.mouth.mouthbank.motion_nets import open_motion, usual_of
from realtime_dub.mouth.mouthbank.occlusion import Occlusion
from realtime_dub.mouth.mouthbank.own_voice import WaysOfTalking
from realtime_dub.mouth.mouthbank.people import People, Person
from realtime_dub.mouth.mouthbank.personal import own_motion
from realtime_dub.mouth.mouthbank.render import WORK_PX, Renderer
from realtime_dub.mouth.mouthbank.rest import Resting
from realtime_dub.mouth.mouthbank.style import kept_shut
from realtime_dub.mouth.mouthbank.voice_stream import Motion, VoiceMotion, opening
from realtime_dub.mouth.quality import AUTO as AUTO_QUALITY
from realtime_dub.mouth.quality import Quality, at_first
from realtime_dub.mouth.silence import AUTO as AUTO_SILENCE
from realtime_dub.mouth.silence import Silence, SilenceShows

COMPUTE_NS = 12 * MS  # p95 of sound, nets and drawing on one core of a laptop, until measured
INSIDE_NS = 3 * MS  # and of painting the inside of a mouth, which anybody's may need
TEACH_NS = 200 * MS  # whom nobody has shown for so long is looked at while dubbing


class MouthbankGenerator:
    """Drives the live face's own mouth by any voice: for each person before the camera, their own.

    ``bundle``: a folder, else the one that comes with the program; ``look_ahead_ms``: how much of the voice the
    built-in one waits for; ``identity``: a bank made by ``enroll``, or its file, which is used for that person only;
    ``backend``: what runs the network; ``strength``: 0..2, how far the mouth moves (1 = as learnt), may be changed at
    any time; ``learn``: how the person talks is learnt while they speak with their own voice; ``silence``: what the
    mouth does while the voice is silent, may be changed, too; ``quality``: the size at which large mouths are drawn.
    """

    name = "mouthbank"

    def __init__(
        self,
        bundle: Path | None = None,
        identity: Path | Bank | None = None,
        strength: float = 1.0,
        look_ahead_ms: int | None = None,
        backend: str = AUTO,
        learn: bool = True,
        silence: Silence = AUTO_SILENCE,
        quality: Quality = AUTO_QUALITY,
    ) -> None:
        if not 0 <= strength <= 2:
            raise ConfigError("cannot use strength", str(strength), "give a number from 0 to 2")
        if silence not in get_args(Silence):
            raise ConfigError("cannot use silence", repr(silence), "give auto, live or rest")
        if quality not in get_args(Quality):
            raise ConfigError("cannot use quality", repr(quality), "give auto, low, medium or high")
        if bundle is not None and look_ahead_ms is not None:
            raise ConfigError("cannot choose a look-ahead with", str(bundle), "give --bundle or --look-ahead, not both")
        loaded = bundles.load_shared(bundle) if bundle is not None else bundles.load_default(self.name, look_ahead_ms)
        if (engine := loaded.spec.engine) != self.name:
            what = f"{loaded.spec.name}: it is for the engine {engine}"
            raise BundleError("cannot use bundle", what, f"give --engine {engine}, or another bundle")
        self.bundle, self.bundle_sha256 = loaded.label, loaded.sha256
        self._motion = self._stream(loaded, backend)
        self.backend = self._motion.session.backend
        self.strength = strength
        self._occlusion, self._inside, self._turn = Occlusion(backend), Inside(backend), TurnFade()
        bank = Bank.load(identity) if isinstance(identity, Path) else identity or Bank()
        self.people = People(bank, self._occlusion.clear, self._inside, self._renderer, usual_of(loaded))
        self._gate, self._resting = SpeechGate(), Resting(silence)
        self._talk = WaysOfTalking(loaded, self._motion, self.backend, learn)
        self._draws = True  # a mouth was drawn last; before the first one nothing is saved
        self._unknown_ns: int | None = None  # the last instant with a face of which it was not known whose it is
        self.quality, self.works_at = quality, at_first(quality)
        self._know(bank)
        self._solver = BlendshapeSolver()
        self._shown = np.zeros((len(self._motion.points), 3), np.float32)
        self._seen: Points | None = None  # (478, 3) of the last frame's face with the mouth that it was given

    def _stream(self, bundle: bundles.Bundle, backend: str) -> VoiceMotion:
        """What makes a motion of the voice. Raises BundleError."""
        return open_motion(bundle, backend)

    def _renderer(self, bank: Bank, inside: Inside | None) -> Renderer:
        """What draws the mouths of a person."""
        return Renderer(bank, inside)

    @property
    def identity(self) -> Bank:
        """Of the person who is dubbed, or was last."""
        return self.people.current.bank

    @property
    def notes(self) -> list[str]:
        """What the user should know of who was there."""
        return self.people.notes()

    @property
    def silence(self) -> Silence:
        return self._resting.silence

    @silence.setter
    def silence(self, silence: Silence) -> None:
        self._resting.silence = silence

    @property
    def short(self) -> bool:
        """The machine has little time: what stands before the face is looked for less often, no teeth are painted."""
        return self._occlusion.short

    @short.setter
    def short(self, short: bool) -> None:
        self._occlusion.short = self._inside.short = short

    @property
    def silence_shows(self) -> SilenceShows:
        return self._resting.shows

    def latency(self) -> Latency:
        # The front end steps in hops that need not fall on the instants asked for: up to one hop more.
        return Latency(
            self._motion.look_ahead_ns, self._motion.front_end_ns + self._motion.hop_ns, COMPUTE_NS + INSIDE_NS
        )

    def hear(self, samples: Samples, pts_ns: int) -> None:
        self._motion.hear(samples, pts_ns)

    def heard_until_ns(self) -> int:
        return self._motion.heard_until_ns()

    def observe(self, tracked: TrackedFrame) -> None:
        self._talk.catch_up()
        self._resting.catch_up()
        person = self._meet(tracked)
        if person is None or (self._idles(person) and not self._occlusion.is_due(tracked)):
            return
        if self._occlusion.clear(tracked):
            person.learn(tracked)

    @property
    def learns_later(self) -> bool:
        return self._talk.later

    @learns_later.setter
    def learns_later(self, later: bool) -> None:
        self._talk.later = self._resting.later = later

    @property
    def learns_own(self) -> bool:
        return self._talk.learns_own

    @property
    def own_voice(self) -> OwnVoiceLearnt:
        return self._talk.learnt

    def begin_own(self, tunes: bool, progress: Progress | None = None) -> None:
        self._talk.begin_own(tunes, progress)

    def hear_own(self, samples: Samples, pts_ns: int) -> None:
        self._talk.hear_own(samples, pts_ns)

    def learn_own(self, tracked: TrackedFrame, live: bool = False) -> None:
        if (person := self._meet(tracked)) is not None and self._occlusion.clear(tracked):
            self._talk.show_own(person, tracked, live)

    def finish_own(self) -> None:
        self._talk.finish_own()

    def frames_to_calibrate(self) -> FramePicker:
        return CalibrationFrames(self._occlusion.clear)

    def calibrate(self, frames: Sequence[TrackedFrame], tracker: FaceTracker) -> None:
        for person in self.people.known:
            calibrate(person.bank, [each for each in frames if self.people.nearest(each) is person], tracker)
            person.taught_ns = None
        self.people.restart()

    def generate(self, tracked: TrackedFrame, at_ns: int) -> MouthPatch | None:
        motion = self._motion.at(at_ns)
        blend_weight = self._gate(motion.speech, at_ns)
        self._shown = motion.displacement * np.float32(self.strength * blend_weight)
        self._seen = None if tracked.face is None else tracked.face.points
        if not motion.plausible:
            raise ImplausibleMouth
        if tracked.face is None:
            return None
        person = self._meet(tracked)
        if person is None:
            self._unknown_ns = at_ns
            return None
        self._look(person, tracked, idle=blend_weight <= 0 and not self._draws)
        patch = self._mouth(person, tracked, motion, blend_weight, at_ns)
        self._draws = patch is not None
        if patch is not None:
            self._seen = person.renderer.drawn_points
        return patch

    def _look(self, person: Person, tracked: TrackedFrame, idle: bool) -> None:
        """What is followed in every frame, and learnt of whom nobody else shows."""
        if self._occlusion.look(tracked, idle).clear:
            person.expression.follow(tracked)
            person.renderer.follow(tracked)
        untaught = person.taught_ns is not None and tracked.frame.pts_ns - person.taught_ns >= TEACH_NS
        if untaught and self._occlusion.clear(tracked):
            person.learn(tracked)

    def _idles(self, person: Person) -> bool:
        """Nothing is drawn, and the person is known so well that there is time for another look."""
        return not self._draws and person.bank.settled

    def _mouth(
        self, person: Person, tracked: TrackedFrame, motion: Motion, blend_weight: float, at_ns: int
    ) -> MouthPatch | None:
        """``blend_weight``: the share of the dubbed mouth, by the voice alone."""
        known = self._since_known(at_ns)
        speaking, resting = min(blend_weight, known), self._rests(tracked, person.bank, motion, at_ns)
        if not tracked.frame.still:
            resting = min(resting, known)
        blend_weight = speaking + (1 - speaking) * resting
        if blend_weight <= 0:
            return None
        cover = self._occlusion.look(tracked)
        if (visible := cover.weight * self._turn(tracked)) <= 0:
            return None
        if person.bank.neutral is None:  # nobody has shown this person yet: begin with the face at hand
            person.bank.observe(tracked, with_mouth=cover.clear)
        patch = self._drawn(tracked, person, motion, speaking / blend_weight, blend_weight * visible, at_ns)
        return None if patch is None else cover.over(patch)

    def _rests(self, tracked: TrackedFrame, bank: Bank, motion: Motion, at_ns: int) -> float:
        """How far the mouth rests shut while it does not speak, 0..1; 0 = the live one is seen."""
        if not tracked.frame.still:
            return self._resting(tracked, bank, opening(motion.displacement), motion.speech, at_ns)
        if bank.neutral is None:
            bank.observe(tracked)
        return float(bank.shut is not None)  # a photograph's open mouth says nothing: between words it rests shut

    def _drawn(
        self, tracked: TrackedFrame, person: Person, motion: Motion, share: float, blend_weight: float, at_ns: int
    ) -> MouthPatch | None:
        """``share`` of the mouth that is drawn at ``blend_weight`` speaks, the others of it rest."""
        if share > 0:
            self._learn(person, tracked, motion)
        displacement, kept = self._moved(person, tracked, motion, share, person.bank)

        def before(known: Bank) -> Points:
            moved, kept = self._moved(person, tracked, motion, share, known)
            return moved + kept

        displacement = displacement + person.settling(person.bank, displacement + kept, before, at_ns)
        resting = (1 - share) * blend_weight
        person.renderer.work_px = WORK_PX[self.works_at]
        patch = person.renderer.render(tracked, displacement, blend_weight, at_ns, resting, kept)
        return patch if patch is None or share > 0 else replace(patch, resting=True)

    def _learn(self, person: Person, tracked: TrackedFrame, motion: Motion) -> None:
        """The person's measure against this voice, and how they talk."""
        person.style.measure(motion, person.bank)
        if self._talk.learns_dubbed and self._occlusion.clear(tracked):
            self._talk.show_dubbed(person, tracked)

    def _moved(
        self, person: Person, tracked: TrackedFrame, motion: Motion, share: float, bank: Bank
    ) -> tuple[Points, Points]:
        """The mouth by what ``bank`` knows of the person, and what of the live one is kept.

        Both (len(LOWER), 3), from the resting face, mouth widths. ``share`` of the mouth speaks, the others of it rest.
        """
        kept = np.float32(share) * person.expression.kept(tracked, bank)  # what rests has its own corners
        if share >= 1:
            return self._spoken(person, motion, bank), kept
        displacement = np.float32(1 - share) * self._resting.displacement(bank, tracked.frame.still)
        if share > 0:
            displacement = displacement + np.float32(share) * self._spoken(person, motion, bank)
        return displacement, kept

    def _spoken(self, person: Person, motion: Motion, bank: Bank) -> Points:
        """The net's mouth as this person makes it."""
        displacement = person.style.applied(motion, bank, self.strength)
        net = self._talk.net
        adapter, tuned = bank.adapters.get(net), bank.tuned.get(net)
        if adapter is None and tuned is None:
            return displacement
        opened = person.style.opened(displacement, bank)
        if (own := own_motion(motion, adapter, tuned, opened)) is None:
            return displacement
        return displacement + kept_shut(own * np.float32(self.strength * motion.speech), opened)

    def _meet(self, tracked: TrackedFrame) -> Person | None:
        """Whose face it is. Another person may speak at quite another level."""
        before = self.people.current
        person = self.people.who(tracked)
        if self.people.current is not before:
            self._motion.forget_level()
            self._talk.forget()
            self._resting.forget()
        if person is not None:
            self._know(person.bank)
        return person

    def _know(self, bank: Bank) -> None:
        """Whose mouth the voice is to move."""
        self._motion.meet(bank.neutral)
        self._motion.tune(bank.tuned.get(self._talk.net))

    def _since_known(self, at_ns: int) -> float:
        """The way from the live mouth back to the dubbed one, 0..1, after a face was not known."""
        if self._unknown_ns is None:
            return 1.0
        return min(1.0, abs(at_ns - self._unknown_ns) / FADE_IN_NS)

    def close(self) -> None:
        """Nothing is held beyond memory."""

    def blendshapes(self) -> Blendshapes:
        return self._solver.named(self._shown)

    def landmarks(self) -> Points | None:
        return None if self._seen is None else scheme68(self._seen)[:, :2]
