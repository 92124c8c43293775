"""Whose face it is is told in each frame, and looked at in full only as often as that needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from realtime_dub.face import telling as module
from realtime_dub.face.descriptor import TEXTURE, aligned, shape_of, texture_of
from realtime_dub.face.telling import EVERY, Telling
from realtime_dub.face.types import Face
from realtime_dub.media import Image
from realtime_dub.mouth.mouthbank.generator import MouthbankGenerator
from tests.faces import frame_of
from tests.sitters import Who, at_rest, dubbed, fade, sitter, talk

pytestmark = pytest.mark.computes

SECOND = 25  # frames


def looks(telling: Telling, frames: range, who: Who = "first", shot: int = 0, face: Face | None = None) -> list[bool]:
    """In which of these frames the face was looked at."""
    image = sitter(who)
    return [telling(frame_of(image, k), face or at_rest(who), shot)[1] is not None for k in frames]


def own(image: Image, face: Face) -> np.ndarray:
    """The descriptor of a face that is looked at."""
    return np.concatenate([texture_of(aligned(image, face)), shape_of(face.canonical)])


def test_a_face_that_stays_is_looked_at_in_every_third_frame_once_it_is_known() -> None:
    looked = looks(Telling(), range(3 * SECOND))
    assert all(looked[:SECOND])
    assert looked[SECOND:] == [k % EVERY == EVERY - 1 for k in range(2 * SECOND)]


def test_what_is_told_between_two_looks_has_the_shape_of_its_own_frame() -> None:
    telling, face = Telling(), at_rest("first")
    looks(telling, range(SECOND))
    nodded = replace(face, canonical=face.canonical + np.float32(1e-3))
    for k in (SECOND, SECOND + 1):
        told, crop = telling(frame_of(sitter("first"), k), nodded, 0)
        assert crop is None
        assert np.array_equal(told[TEXTURE:], shape_of(nodded.canonical))
        assert np.array_equal(told[:TEXTURE], own(sitter("first"), face)[:TEXTURE])


def test_somebody_else_in_the_same_place_is_told_at_once_though_nothing_says_that_there_was_a_cut() -> None:
    telling = Telling()
    looks(telling, range(2 * SECOND))
    for k in range(2 * SECOND, 2 * SECOND + 2 * EVERY):
        told, crop = telling(frame_of(sitter("second"), k), at_rest("second"), 0)
        assert crop is not None
        assert np.array_equal(told, own(sitter("second"), at_rest("second")))


def test_behind_a_change_every_frame_is_looked_at_for_a_second() -> None:
    face = at_rest("first")
    turned = replace(face, pose=replace(face.pose, rotation=face.pose.rotation.copy()))
    turned.pose.rotation[2, 0] += 0.1
    changes = {
        "another shot": lambda telling, k: looks(telling, range(k, k + SECOND), shot=1),
        "another person": lambda telling, k: looks(telling, range(k, k + SECOND), "second"),
    }
    for change in changes.values():
        telling = Telling()
        looks(telling, range(2 * SECOND))
        assert all(change(telling, 2 * SECOND))
    telling = Telling()
    looks(telling, range(2 * SECOND))
    assert looks(telling, range(2 * SECOND, 2 * SECOND + 1), face=turned) == [True]
    assert looks(telling, range(3 * SECOND, 3 * SECOND + 1)) == [True]  # for a second nothing was seen of it


def test_behind_a_fade_another_person_is_known_one_look_later_at_most_than_if_every_frame_were_looked_at() -> None:
    """Which look of a fade shows somebody else hangs on the last digits, which processors round differently."""
    film = talk("first", 45) + fade(sitter("first"), sitter("second"), 12) + talk("second", 25)
    known = []
    for every in (1, EVERY):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "EVERY", every)
            generator = MouthbankGenerator()
            shown = list(dubbed(generator, film))
        own_bank = shown[40].bank
        assert not any(each.patch and each.bank is own_bank for each in shown[57:])
        known.append(next(k for k, each in enumerate(shown) if each.patch and each.bank is not own_bank))
    assert known[1] - known[0] <= EVERY
