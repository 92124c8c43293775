"""Learning how a person talks while they speak with their own voice, and telling whether they do.

Another's voice, a narrator's or an interpreter's, must not be learnt from: mouth and voice have to agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.media import MS, NS, Floats, Samples
from realtime_dub.mouth.contract import VOICE_RATE, OwnVoiceLearnt, Progress
from realtime_dub.mouth.mouthbank.adapter import Adapter
from realtime_dub.mouth.mouthbank.agreement import Agreement, agreement_of
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.lateness import IN_STEP_NS
from realtime_dub.mouth.mouthbank.motion import FEATURES, MotionStream, opening, trunk_of
from realtime_dub.mouth.mouthbank.pairing import Lesson, Pairing
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.trunk import Trunk
from realtime_dub.mouth.mouthbank.tuning import Pupil, Tape, have_one_body, tune
from realtime_dub.mouth.mouthbank.voice_stream import VoiceMotion

AGREES = 0.35  # r of the mouth's opening and the net's; who reads has 0.5 to 0.9, another's voice within 0.2 of nothing
FORETOLD = 0.55  # r of the opening and what lessons foretold of it; free speech 0.6 to 0.7, another's voice 0.1 +- 0.15
RELATED = 0.12  # r of the net's, too: sentences spoken in time with others foretell them, and the net knows better
LEAST_FORETOLD = 100  # frames of a film, its later half, in which that is told
WINDOW_FORETOLD, LEAST_LIVE = 750, 500  # the same live, where it is asked again and again
ASKED_EVERY = 25  # frames
MOST_ON_TRIAL = 1_500  # frames that agree with nothing, after which what was learnt from them is forgotten
REMEMBERED_NS = 20 * NS  # of an own voice: so long it may take to be sure how late its mouth is seen
MOST_LESSONS = 6_000  # four minutes of speech at 25 per second
MOST_AT_ONCE = 4  # lessons: live there is time every third frame


class Lessons:
    """What people are learnt by, with one net. ``learnt``: from how many frames; ``tuned``: the net by how many.

    ``trunk``: what the net can be tuned by; None: it is not to be. ``untuned``: by whose lessons it may be now.
    """

    def __init__(self, net: str, trunk: Trunk | None = None) -> None:
        self.net, self.learnt, self.tuned, self.trunk = net, 0, 0, trunk
        self.untuned: list[tuple[Bank, Pupil]] = []
        self._agreement = Agreement()
        self._trial: Trial | None = None

    def learn(self, lesson: Lesson) -> None:
        """As far as mouth and voice have belonged together of late. The bank has to know the person by now."""
        features, bank = lesson.motion.features, lesson.person.bank
        if features is None or not bank.settled:
            return
        trial = self._of(bank, len(features), lesson.late_ns)
        live, net = both_mouths(lesson)
        self._agreement.add(opening(live), opening(net))
        trial.learn(features, live, net)
        if belong(self._agreement.r, lesson.sure, trial.foretells):
            self.learnt += trial.waiting
            trial.waiting = 0
            bank.keep_adapter(self.net, trial.adapter)
        elif trial.adapter is bank.adapters.get(self.net):
            trial.adapter = trial.adapter.copy()  # from here on nobody keeps it
        elif trial.waiting > MOST_ON_TRIAL:
            self._trial = None

    def learn_all(self, lessons: Sequence[Lesson]) -> None:
        """Of one film, once its people are known: agreement is told by the whole of each one's lessons."""
        for person in {id(each.person): each.person for each in lessons}.values():
            own = [each for each in lessons if each.person is person and person.bank.closed is not None]
            for each in own:
                each.style(each.motion, person.bank, 1.0)  # the person's measure, by their own voice
            self._learn_person(person.bank, own)

    def forget(self) -> None:
        """Another person is in the picture."""
        self._agreement.forget()
        self._trial = None

    def _of(self, bank: Bank, features: int, late_ns: int) -> Trial:
        trial = self._trial
        if trial is None or trial.bank is not bank or abs(late_ns - trial.late_ns) > IN_STEP_NS:
            self._trial = trial = Trial(bank, self.net, features, late_ns)
        return trial

    def _learn_person(self, bank: Bank, lessons: Sequence[Lesson]) -> None:
        pairs = [both_mouths(each) for each in lessons]
        told = [each.motion.features for each in lessons]
        if not told or told[0] is None:
            return
        trial, foretold = Trial(bank, self.net, len(told[0])), []
        for features, (live, net) in zip(told, pairs, strict=True):
            foretold.append(trial.learn(features, live, net))
        seen, by_net = (np.array([opening(each[k]) for each in pairs], np.float32) for k in (0, 1))
        late = len(lessons) // 2
        known = agreement_of(seen[late:], np.array(foretold[late:], np.float32), least=LEAST_FORETOLD)
        sure = all(each.sure for each in lessons)
        if belong(agreement_of(seen, by_net), sure, at_least(known, FORETOLD)):
            bank.keep_adapter(self.net, trial.adapter)
            self.learnt += trial.waiting
            self._leave_to_tune(bank, lessons, pairs)

    def _leave_to_tune(self, bank: Bank, lessons: Sequence[Lesson], pairs: Sequence[tuple[Points, Points]]) -> None:
        both = zip(lessons, pairs, strict=True)
        placed = [(each.place, live - net) for each, (live, net) in both if each.place is not None]
        if self.trunk is not None and placed:
            places, missed = zip(*placed, strict=True)
            self.untuned.append((bank, Pupil(self.trunk, np.array(places), np.stack(missed))))


class Trial:
    """A copy of what is known of a person's way of talking, that learns from every lesson.

    The net alone follows who speaks freely, or in a language unlike that of the films, hardly better than another's
    voice would. What was learnt from the lessons so far foretells the mouth of one's own voice far better, and that of
    another's no better. So that tells whether to keep it. ``waiting``: lessons that nobody has kept yet;
    ``late_ns``: by how much their faces were taken to be late.
    """

    def __init__(self, bank: Bank, net: str, features: int, late_ns: int = 0) -> None:
        known = bank.adapters.get(net)
        self.bank, self.late_ns, self.waiting = bank, late_ns, 0
        self.adapter = Adapter(features) if known is None else known.copy()
        self.foretells = False  # an own voice's mouth, live
        self._agreement, self._lessons = Agreement(WINDOW_FORETOLD, LEAST_LIVE), 0

    def learn(self, features: Floats | None, live: Points, net: Points) -> float:
        """The opening that it foretold before it learnt; NaN for what is no lesson."""
        told = None if features is None else self.adapter.learn(features, live - net)
        if told is None:
            return np.nan
        self.waiting += 1
        self._lessons += 1
        foretold = opening(net + told)
        self._agreement.add(opening(live), foretold)
        if self._lessons % ASKED_EVERY == 0:
            self.foretells = at_least(self._agreement.r, FORETOLD)
        return foretold


def belong(r: float | None, sure: bool, foretells: bool) -> bool:
    """A mouth and a voice, by the net's r, by whether it is sure how late they are, and if lessons foretell the mouth.

    Of another's voice r is large now and then, but not at one time more than at all others.
    """
    return at_least(r, RELATED) if foretells else sure and at_least(r, AGREES)


def at_least(r: float | None, wanted: float) -> bool:
    return r is not None and r >= wanted


def both_mouths(lesson: Lesson) -> tuple[Points, Points]:
    """The mouth that was seen and the net's, (len(LOWER), 3) from the resting face in mouth widths."""
    bank = lesson.person.bank
    assert bank.neutral is not None
    live = (lesson.canonical - bank.neutral)[LOWER] / np.float32(mouth_width(bank.neutral))
    return live, lesson.style.applied(lesson.motion, bank, 1.0)


class OwnVoiceStream:
    """The person's own voice beside the one that is dubbed: a stream of its own, and frames that wait for it.

    Of a film, what there is to learn is kept until :meth:`finish`: by then it is known how the person rests. Live,
    :meth:`learn` takes what has come so far.
    """

    def __init__(
        self, bundle: Bundle, backend: str = AUTO, tunes: bool = False, progress: Progress | None = None
    ) -> None:
        """``tunes``: the net itself is tuned to the person at the end, which takes some seconds for each minute."""
        trunk = trunk_of(bundle) if tunes else None
        self.tape = None if trunk is None else Tape()
        self.progress = progress
        self._motion = MotionStream(bundle, backend, self.tape, REMEMBERED_NS)
        self.pairing = Pairing(self._motion)
        self._ready: deque[Lesson] = deque(maxlen=MOST_LESSONS)
        self.lessons = Lessons(bundle.net, trunk)
        self.heard = 0  # samples with sound in them

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """16 kHz (n,), without holes; behind one, a stream begins anew."""
        self._motion.hear(samples, pts_ns)
        self.heard += len(samples) if samples.any() else 0

    def show(self, person: Person, tracked: TrackedFrame, live: bool = False) -> None:
        """A frame of the person, in order. ``live``: their voice is measured apart from the one that is dubbed."""
        self.pairing.show(person, tracked, person.own_style if live else person.style)
        if not live:
            self._ready.extend(self.pairing.lessons())

    def learn(self) -> None:
        """From what has come, as far as mouth and voice have belonged together of late, and as there is time."""
        for lesson in islice(self.pairing.lessons(), MOST_AT_ONCE):
            if lesson.person.bank.neutral is not None:
                lesson.style(lesson.motion, lesson.person.bank, 1.0)
            self.lessons.learn(lesson)

    def finish(self, *others: OwnVoiceStream) -> None:
        """Learn from all of it. ``others``: of the same voice, for other look-aheads, which are tuned together."""
        streams = self, *others
        for each in streams:
            each._ready.extend(each.pairing.last_lessons())
            each.lessons.learn_all(each._ready)
            each._ready.clear()
        tune_all(streams)


def tune_all(streams: Sequence[OwnVoiceStream]) -> None:
    """By all that was left to it: to one person after another, nets with one trunk together."""
    tapes = [each.tape for each in streams if each.tape is not None]
    trunks = [each.lessons.trunk for each in streams if each.lessons.trunk is not None]
    if not tapes:
        return
    if not (have_one_body(trunks) and all(each.matches(tapes[0]) for each in tapes)):
        for each in streams:
            tune_all([each])
        return
    asked = [(bank, each.lessons, pupil) for each in streams for bank, pupil in each.lessons.untuned]
    for person in {id(bank): bank for bank, _, _ in asked}.values():
        own = [(lessons, pupil) for bank, lessons, pupil in asked if bank is person]
        found = tune([pupil for _, pupil in own], tapes[0], progress=streams[0].progress)
        for (lessons, pupil), tuned in zip(own, found, strict=True):
            if tuned is not None:
                person.keep_tuned(lessons.net, tuned)
                lessons.tuned += len(pupil.at)
    for each in streams:
        each.lessons.untuned.clear()


class WaysOfTalking:
    """What a generator learns of how people talk: from the voice that is dubbed, or from their own beside it.

    ``motion``: of the voice that is dubbed; ``learns``: it is asked for.
    """

    def __init__(self, bundle: Bundle, motion: VoiceMotion, backend: str, learns: bool) -> None:
        self.net = bundle.net
        self.learns_own = learns and tells_features(bundle)
        self._bundle, self._backend = bundle, backend
        self._dubbed = Lessons(self.net)
        self._pairing = Pairing(motion) if self.learns_own and isinstance(motion, MotionStream) else None
        self.later = False  # what the dubbed voice teaches waits for :meth:`catch_up`; may be changed
        self._own: OwnVoiceStream | None = None  # made when it is first heard
        self._finished = OwnVoiceLearnt()  # by streams that are over

    @property
    def learnt(self) -> OwnVoiceLearnt:
        """So far."""
        heard_s, frames = self._finished.heard_s, self._finished.frames + self._dubbed.learnt
        tuned, late_ns = self._finished.tuned, None if self._pairing is None else self._pairing.lateness.ns
        if self._own is not None:
            heard_s, frames = heard_s + self._own.heard / VOICE_RATE, frames + self._own.lessons.learnt
            tuned, late_ns = tuned + self._own.lessons.tuned, self._own.pairing.lateness.ns
        late_ms = self._finished.late_ms if late_ns is None else late_ns / MS
        return OwnVoiceLearnt(heard_s, frames, tuned, late_ms if frames else None)

    @property
    def learns_dubbed(self) -> bool:
        """The voice that is dubbed may be the person's own: theirs is not heard beside it."""
        return self._pairing is not None and self._own is None

    def show_dubbed(self, person: Person, tracked: TrackedFrame) -> None:
        """A frame of a person, in order, who may speak with the voice that is dubbed."""
        if self._pairing is not None:
            self._pairing.show(person, tracked, person.style)
        if not self.later:
            self.catch_up()

    def catch_up(self) -> None:
        """Learn from what waits, as there is time."""
        waiting = () if self._pairing is None else self._pairing.lessons()
        for lesson in islice(waiting, MOST_AT_ONCE):
            self._dubbed.learn(lesson)

    def begin_own(self, tunes: bool, progress: Progress | None) -> None:
        """A film of the person. ``tunes``: the net itself is tuned to them at its end."""
        if self.learns_own:
            self._own = OwnVoiceStream(self._bundle, self._backend, tunes, progress)

    def hear_own(self, samples: Samples, pts_ns: int) -> None:
        if self._own is None and self.learns_own:
            self._own = OwnVoiceStream(self._bundle, self._backend)
        if self._own is not None:
            self._own.hear(samples, pts_ns)

    def show_own(self, person: Person, tracked: TrackedFrame, live: bool) -> None:
        """``live``: learn as it comes, not at the end."""
        if self._own is not None:
            self._own.show(person, tracked, live)
            if live:
                self._own.learn()

    def finish_own(self) -> None:
        if self._own is not None:
            self._own.finish()
            learnt = self.learnt
            self._finished = replace(learnt, frames=learnt.frames - self._dubbed.learnt)
            self._own = None

    def forget(self) -> None:
        """Another person is in the picture."""
        self._dubbed.forget()
        if self._pairing is not None:
            self._pairing.forget()
        if self._own is not None:
            self._own.lessons.forget()


def tells_features(bundle: Bundle) -> bool:
    """Whether a net tells what it makes its motion of, so that it can be adapted."""
    return any(tensor.name == FEATURES for tensor in bundle.spec.outputs)
