"""Another person in the picture: nobody gets somebody else's mouth, and who comes back has their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.capture import captured
from benchmarks.hard_faces import write_lossless
from engines.common.face_variants import VARIANTS
from realtime_dub.config import FileConfig, build
from realtime_dub.face.descriptor import LENGTH
from realtime_dub.face.gallery import CAPACITY, Gallery
from realtime_dub.face.tracker import MediaPipeTracker
from realtime_dub.face.types import TrackedFrame
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.bank import Bank
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from realtime_dub.mouth.mouthbank.occlusion import Cover, Occlusion
from realtime_dub.mouth.mouthbank.people import ENOUGH_LOOKS, MOST_PEOPLE, People
from realtime_dub.pipeline.file.enrolment import enroll
from realtime_dub.pipeline.file.run import run_file
from tests.faces import frame_of
from tests.sitters import Dubbed, at_rest, blue, dubbed, empty, fade, sitter, talk

pytestmark = pytest.mark.computes

BLUE = 30  # pixels; fewer are no mouth
JOINS = {"cut": [], "fade": fade(sitter("first"), sitter("second"), 12), "empty room": empty(25)}


@pytest.fixture(scope="module", autouse=True)
def nothing_covers() -> Iterator[None]:
    """To the net that looks for things before a face, a mouth that is blue inside is one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Occlusion, "look", lambda self, tracked, idle=False: Cover())
        yield


def known(person: Bank, frames: list[Dubbed]) -> bool:
    return all(each.bank is person for each in frames if each.patch is not None)


@pytest.fixture(scope="module")
def first_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bank") / "first.bank"
    enroll(str(write_lossless(even(talk("first", 25)), path.with_suffix(".mkv"))), path)
    return path


def even(images: list[Image]) -> list[Image]:
    return [image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2] for image in images]


@pytest.mark.parametrize("join", JOINS)
def test_the_second_person_never_has_the_firsts_mouth_and_the_first_gets_it_back(join: str) -> None:
    generator, between = MouthbankGenerator(), JOINS[join]
    film = talk("first", 24) + between + talk("second", 28) + between[::-1] + talk("first", 16)
    shown = list(dubbed(generator, film))
    first, fading = shown[:24], shown[24 + len(between) // 2 : 24 + len(between)]
    second, back = shown[24 + len(between) : 52 + len(between)], shown[52 + 2 * len(between) :]
    own = first[-1].bank
    assert sum(each.blue > BLUE for each in first) > 3
    assert not any(each.blue > BLUE for each in second)
    assert not any(each.patch for each in fading + second[:3])
    theirs = second[-1].bank
    assert theirs is not own
    assert known(theirs, second)
    assert sum(each.patch is not None for each in second) > 10
    assert known(own, back)
    assert any(each.blue > BLUE for each in back)
    assert back[-1].patch is not None


def test_a_bank_of_ones_own_is_for_that_person_alone(first_bank: Path) -> None:
    generator = MouthbankGenerator(identity=first_bank)
    enrolled = generator.identity
    shown = list(dubbed(generator, talk("second", 30) + talk("first", 15)))
    assert not any(each.patch for each in shown[: ENOUGH_LOOKS - 1])
    assert not any(each.blue > BLUE for each in shown[:30])
    assert shown[29].patch is not None
    assert shown[29].bank is not enrolled
    assert known(enrolled, shown[30:])
    assert any(each.blue > BLUE for each in shown[30:])
    assert "somebody else" in generator.notes[0]


def test_whose_bank_it_is_is_known_at_once(first_bank: Path) -> None:
    generator = MouthbankGenerator(identity=first_bank)
    shown = list(dubbed(generator, talk("first", 10)))
    assert shown[6].patch is not None
    assert all(each.bank is generator.people.expected.bank for each in shown)
    assert not generator.notes


def test_a_bank_made_before_faces_were_remembered_is_the_first_ones_who_is_seen(first_bank: Path) -> None:
    bank = Bank.load(first_bank)
    bank.gallery = Gallery()
    generator = MouthbankGenerator(identity=bank)
    shown = list(dubbed(generator, talk("first", 25) + talk("second", 15)))
    assert known(bank, shown[:25])
    assert not any(each.blue > BLUE for each in shown[25:])


def test_the_same_person_stays_the_same_in_another_light_place_or_pose() -> None:
    rng, film = np.random.default_rng(0), talk("first", 14)
    for variant in ("glasses", "lamp right", "near", "hand", "turned right"):
        changed = VARIANTS[variant](sitter("first"), at_rest("first"), rng)
        film += [changed] * 12 + talk("first", 3)
    generator = MouthbankGenerator()
    shown = list(dubbed(generator, film))
    assert len(generator.people.known) == 1
    assert sum(not each.known for each in shown) < 20
    assert all(shown[k - 1].known and shown[k - 4].known for k in range(29, len(shown) + 1, 15))


def test_the_chosen_face_leaves_and_the_other_one_is_followed() -> None:
    large, small = sitter("first"), cv2.resize(sitter("second"), None, fx=0.8, fy=0.8)
    wall = np.full_like(large, 120)
    both, alone = (np.hstack([left, np.full_like(large, 120)]) for left in (large, wall))
    for image in (both, alone):
        image[60:, large.shape[1] : large.shape[1] + small.shape[1]] = small[: image.shape[0] - 60]
    shown = list(dubbed(MouthbankGenerator(), [both] * 15 + [alone] * 20))
    assert shown[12].patch is not None
    assert not any(each.patch for each in shown[15 : 15 + ENOUGH_LOOKS - 1])
    assert shown[-1].patch is not None
    assert shown[-1].bank is not shown[0].bank


@pytest.fixture(scope="module")
def tracked_first() -> TrackedFrame:
    tracker = MediaPipeTracker()
    try:
        return tracker.track(frame_of(sitter("first")))
    finally:
        tracker.close()


def look(tracked: TrackedFrame, k: int, descriptor: np.ndarray, shot: int = 0) -> TrackedFrame:
    """The same picture at frame ``k``, with another face as far as the descriptor goes."""
    assert tracked.face is not None
    face = replace(tracked.face, descriptor=descriptor.astype(np.float32))
    return replace(tracked, frame=frame_of(tracked.frame.image, k), face=face, shot=shot)


def test_people_and_what_is_remembered_of_them_are_bounded(tracked_first: TrackedFrame) -> None:
    people, rng = People(Bank()), np.random.default_rng(0)
    for person in range(2 * MOST_PEOPLE):
        descriptor = 9 * rng.standard_normal(LENGTH) / np.sqrt(LENGTH)
        for k in range(12):
            people.who(look(tracked_first, 12 * person + k, descriptor, person))
    assert len(people.known) == MOST_PEOPLE
    assert people.expected in people.known
    gallery = Gallery()
    for _ in range(3 * CAPACITY):
        gallery.add(rng.standard_normal(LENGTH).astype(np.float32), np.zeros(2, np.float32))
    assert len(gallery) == CAPACITY


def test_a_look_that_comes_late_changes_nothing(tracked_first: TrackedFrame) -> None:
    people, (own, other) = People(Bank()), 6 * np.eye(2, LENGTH)
    for k in range(10):
        people.who(look(tracked_first, k, own))
    for k in range(10, 30):
        people.who(look(tracked_first, k, other, shot=1))
    second = people.current
    assert second is not people.expected
    assert people.who(look(tracked_first, 8, own)) is None
    assert people.who(look(tracked_first, 30, other, shot=1)) is second
    assert people.who(look(tracked_first, 29, other, shot=1)) is second


@pytest.mark.parametrize(("distance", "another"), [(2.0, False), (2.4, True)])
def test_two_people_who_look_alike_are_two_after_a_cut(
    tracked_first: TrackedFrame, distance: float, another: bool
) -> None:
    people, (own, away) = People(Bank()), np.eye(2, LENGTH)
    for k in range(10):
        people.who(look(tracked_first, k, own))
    met = [people.who(look(tracked_first, 10 + k, own + distance * away, shot=1)) for k in range(20)]
    assert met[-1] is not None
    assert (met[-1] is not people.expected) == another
    assert (people.expected in met) != another


def test_whoever_is_hard_to_see_is_dubbed_in_the_end(tracked_first: TrackedFrame) -> None:
    people, rng = People(Bank()), np.random.default_rng(0)
    own, other = 6 * np.eye(2, LENGTH)
    for k in range(10):
        people.who(look(tracked_first, k, own))
    noise = 2 * rng.standard_normal((100, LENGTH)) / np.sqrt(LENGTH)
    met = [people.who(look(tracked_first, 10 + k, other + noise[k], shot=1)) for k in range(100)]
    assert people.expected not in met
    assert met[-1] is not None


def test_in_a_file_both_people_are_learnt_ahead(tmp_path: Path) -> None:
    source = even(talk("first", 14) + talk("second", 16))
    film = write_lossless(source, tmp_path / "two.mkv")
    with captured() as images:
        run_file(build(FileConfig, input=str(film), mic="demo", output=tmp_path / "out.mp4", quiet=True))
        result = list(images)
    changed = [(after.astype(int) != before).any() for before, after in zip(source, result, strict=True)]
    assert any(changed[:14])
    assert any(changed[14 : 14 + ENOUGH_LOOKS])
    assert not any(blue(before, after) > BLUE for before, after in zip(source[14:], result[14:], strict=True))


def test_of_two_people_the_one_who_is_seen_most_is_enrolled(tmp_path: Path) -> None:
    film = write_lossless(even(talk("first", 6) + talk("second", 18)), tmp_path / "two.mkv")
    said = enroll(str(film), tmp_path / "most.bank")
    assert "of 2 people the one who is seen most" in said
    generator = MouthbankGenerator(identity=tmp_path / "most.bank")
    shown = list(dubbed(generator, talk("second", 10)))
    assert shown[6].patch is not None
    assert not any(each.blue > BLUE for each in shown)
    mouths = [mouth.image.astype(int) for mouth in generator.people.expected.bank.mouths]
    assert not any(((mouth[..., 0] - mouth[..., 2]) > 50).sum() > BLUE for mouth in mouths)
