"""Learning how a person talks while they speak with their own voice, and telling whether they do.

Another's voice, a narrator's or an interpreter's, must not be learnt from: mouth and voice have to agree.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from realtime_dub.face.alignment import LOWER, mouth_width
from realtime_dub.face.types import Points, TrackedFrame
from realtime_dub.inference import AUTO
from realtime_dub.inference.bundle import Bundle
from realtime_dub.media import NS, Floats, Samples
from realtime_dub.mouth.contract import VOICE_RATE, OwnVoiceLearnt, Progress
from realtime_dub.mouth.mouthbank.adapter import Adapter
from realtime_dub.mouth.mouthbank.agreement import Agreement, agreement_of
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.motion import FEATURES, Motion, MotionStream, opening, trunk_of
from realtime_dub.mouth.mouthbank.people import Person
from realtime_dub.mouth.mouthbank.style import Style
from realtime_dub.mouth.mouthbank.trunk import Trunk
from realtime_dub.mouth.mouthbank.tuning import Pupil, Tape, have_one_body, tune

SPEAKS = 0.5  # probability of speech from which a frame is learnt from
AGREES = 0.35  # r of the mouth's opening and the net's; who reads has 0.5 to 0.9, another's voice within 0.2 of nothing
FORETOLD = 0.55  # r of the opening and what lessons foretold of it; free speech 0.6 to 0.7, another's voice 0.1 +- 0.15
RELATED = 0.12  # r of the net's, too: sentences spoken in time with others foretell them, and the net knows better
LEAST_FORETOLD = 100  # frames of a film, its later half, in which that is told
WINDOW_FORETOLD, LEAST_LIVE = 750, 500  # the same live, where it is asked again and again
ASKED_EVERY = 25  # frames
MOST_ON_TRIAL = 1_500  # frames that agree with nothing, after which what was learnt from them is forgotten
WAITING = 250  # frames that wait for the sound they belong to
REMEMBERED_NS = 2 * NS  # of sound behind a frame, in which its motion is still known
MOST_LESSONS = 6_000  # four minutes of speech at 25 per second
MOST_PUT_OFF = 6  # lessons that wait until there is time; live there is, every third frame
SMILES = 0.03  # mouth widths that an expression moves any point by: such a frame is not learnt from
TURNED_DEG = 30.0  # a face turned further is not learnt from


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """A moment in which a person may have spoken with their own voice."""

    person: Person
    canonical: Points  # (478, 3)
    motion: Motion
    style: Style  # the person's measure, against that voice
    place: float | None = None  # of its instant on the tape, where there is one


def lesson_of(person: Person, tracked: TrackedFrame, motion: Motion) -> Lesson | None:
    """None where there is nothing to learn: silence, a turned face, a smile, a net that tells no features."""
    canonical = face_to_learn(person, tracked) if teaches(motion) else None
    return None if canonical is None else Lesson(person, canonical, motion, person.style)


def teaches(motion: Motion) -> bool:
    """There is speech in it, and what the net made of it can be told."""
    return motion.features is not None and motion.speech >= SPEAKS and motion.plausible


def face_to_learn(person: Person, tracked: TrackedFrame) -> Points | None:
    """The canonical face (478, 3), where it is one to learn from. Frames of a person come in order."""
    face = tracked.face
    if face is None or abs(face.pose.yaw_deg) > TURNED_DEG or tracked.frame.still:
        return None
    if np.abs(person.expression.kept(tracked, person.bank)).max() > SMILES:
        return None  # it would be learnt as a way of talking, and kept a second time
    return face.canonical


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
        trial = self._of(bank, len(features))
        live, net = both_mouths(lesson)
        self._agreement.add(opening(live), opening(net))
        trial.learn(features, live, net)
        if belong(self._agreement.r, trial.foretells):
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

    def _of(self, bank: Bank, features: int) -> Trial:
        if self._trial is None or self._trial.bank is not bank:
            self._trial = Trial(bank, self.net, features)
        return self._trial

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
        if belong(agreement_of(seen, by_net), at_least(known, FORETOLD)):
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
    another's no better. So that tells whether to keep it. ``waiting``: lessons that nobody has kept yet.
    """

    def __init__(self, bank: Bank, net: str, features: int) -> None:
        known = bank.adapters.get(net)
        self.bank, self.waiting = bank, 0
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


def belong(r: float | None, foretells: bool) -> bool:
    """A mouth and a voice, by the net's r and by whether lessons foretell the mouth."""
    return at_least(r, RELATED if foretells else AGREES)


def at_least(r: float | None, wanted: float) -> bool:
    return r is not None and r >= wanted


def both_mouths(lesson: Lesson) -> tuple[Points, Points]:
    """The mouth that was seen and the net's, (len(LOWER), 3) from the resting face in mouth widths."""
    bank = lesson.person.bank
    assert bank.neutral is not None
    live = (lesson.canonical - bank.neutral)[LOWER] / np.float32(mouth_width(bank.neutral))
    return live, lesson.style.applied(lesson.motion, bank, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """A frame that waits for its sound; its image is not kept."""

    person: Person
    canonical: Points
    style: Style
    at_ns: int


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
        self._motion = MotionStream(bundle, backend, self.tape)
        self._waiting: deque[_Seen] = deque(maxlen=WAITING)
        self._ready: deque[Lesson] = deque(maxlen=MOST_LESSONS)
        self.lessons = Lessons(bundle.net, trunk)
        self.heard = 0  # samples with sound in them

    def hear(self, samples: Samples, pts_ns: int) -> None:
        """16 kHz (n,), without holes; behind one, a stream begins anew."""
        self._motion.hear(samples, pts_ns)
        self.heard += len(samples) if samples.any() else 0
        self._settle()

    def show(self, person: Person, tracked: TrackedFrame, live: bool = False) -> None:
        """A frame of the person, in order. ``live``: their voice is measured apart from the one that is dubbed."""
        canonical = face_to_learn(person, tracked)
        if canonical is not None:
            style = person.own_style if live else person.style
            self._waiting.append(_Seen(person, canonical, style, tracked.frame.pts_ns))
        self._settle()

    def learn(self) -> None:
        """From what is ready, as far as mouth and voice have belonged together of late."""
        while self._ready:
            lesson = self._ready.popleft()
            if lesson.person.bank.neutral is not None:
                lesson.style(lesson.motion, lesson.person.bank, 1.0)
            self.lessons.learn(lesson)

    def finish(self, *others: OwnVoiceStream) -> None:
        """Learn from all of it. ``others``: of the same voice, for other look-aheads, which are tuned together."""
        streams = self, *others
        for each in streams:
            each.lessons.learn_all(each._ready)
            each._ready.clear()
        tune_all(streams)

    def _settle(self) -> None:
        heard_ns = self._motion.heard_until_ns()
        while self._waiting and self._waiting[0].at_ns <= heard_ns:
            seen = self._waiting.popleft()
            if heard_ns - seen.at_ns <= REMEMBERED_NS and teaches(motion := self._motion.at(seen.at_ns)):
                place = self._motion.tape_place(seen.at_ns)
                self._ready.append(Lesson(seen.person, seen.canonical, motion, seen.style, place))


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

    ``learns``: it is asked for.
    """

    def __init__(self, bundle: Bundle, backend: str, learns: bool) -> None:
        self.net = bundle.net
        self.learns_own = learns and tells_features(bundle)
        self._learns, self._bundle, self._backend = learns, bundle, backend
        self._dubbed = Lessons(self.net)
        self.later = False  # what the dubbed voice teaches waits for :meth:`catch_up`; may be changed
        self._put_off: deque[Lesson] = deque(maxlen=MOST_PUT_OFF)
        self._own: OwnVoiceStream | None = None  # made when it is first heard
        self._finished = OwnVoiceLearnt()  # by streams that are over

    @property
    def learnt(self) -> OwnVoiceLearnt:
        """So far."""
        before, frames = self._finished, self._finished.frames + self._dubbed.learnt
        if self._own is None:
            return OwnVoiceLearnt(before.heard_s, frames, before.tuned)
        own, heard_s = self._own.lessons, before.heard_s + self._own.heard / VOICE_RATE
        return OwnVoiceLearnt(heard_s, frames + own.learnt, before.tuned + own.tuned)

    @property
    def learns_dubbed(self) -> bool:
        """The voice that is dubbed may be the person's own: theirs is not heard beside it."""
        return self._learns and self._own is None

    def learn_dubbed(self, person: Person, tracked: TrackedFrame, motion: Motion) -> None:
        """``motion``: of the voice that is dubbed, at the frame."""
        if lesson := lesson_of(person, tracked, motion):
            self._put_off.append(lesson)
        if not self.later:
            self.catch_up()

    def catch_up(self) -> None:
        """Learn from what was put off."""
        while self._put_off:
            self._dubbed.learn(self._put_off.popleft())

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
            self._finished = OwnVoiceLearnt(learnt.heard_s, learnt.frames - self._dubbed.learnt, learnt.tuned)
            self._own = None

    def forget(self) -> None:
        """Another person is in the picture."""
        self._dubbed.forget()
        self._put_off.clear()
        if self._own is not None:
            self._own.lessons.forget()


def tells_features(bundle: Bundle) -> bool:
    """Whether a net tells what it makes its motion of, so that it can be adapted."""
    return any(tensor.name == FEATURES for tensor in bundle.spec.outputs)
